"""Named random streams."""

from __future__ import annotations

import copy

import numpy as np

from gapslsim.rng import stream, stream_seed


def test_a_stream_is_the_philox_stream_of_its_key() -> None:
    for name in (("batches", 3, 0), ("jitter", "client-7"), ("participation", 200)):
        expected = np.random.Generator(np.random.Philox(key=stream_seed(5, *name)))
        ours = stream(5, *name)
        assert str(ours.bit_generator.state) == str(expected.bit_generator.state)
        assert ours.random(100).tolist() == expected.random(100).tolist()


def test_a_copied_stream_goes_on_as_the_original() -> None:
    original = stream(1, "a")
    original.random(3)
    other = copy.deepcopy(original)
    assert other.random(5).tolist() == original.random(5).tolist()


def test_streams_of_other_names_and_seeds_differ() -> None:
    draws = {stream(seed, *name).random() for seed in (1, 2) for name in (("a", 1), ("a", 2), ("b", 1))}
    assert len(draws) == 6
