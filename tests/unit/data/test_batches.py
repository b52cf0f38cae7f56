from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapslsim import rng
from gapslsim.data.batches import BatchPlan
from gapslsim.errors import DataError


def shares(*sizes: int) -> list[np.ndarray]:
    edges = np.cumsum([0, *sizes])
    return [np.arange(a, b, dtype=np.int64) for a, b in itertools.pairwise(edges)]


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**31))
def test_the_stream_of_a_client_is_its_epoch_permutations_one_after_the_other(
    n: int, batch_size: int, seed: int
) -> None:
    plan = BatchPlan(seed, shares(3, n), batch_size)
    b = min(batch_size, n)
    n_steps = -(-4 * n // b)
    stream = np.concatenate([plan.indices(1, step) for step in range(n_steps)])
    expected = [rng.stream(seed, "batches", 1, epoch).permutation(np.arange(3, 3 + n)) for epoch in range(6)]
    np.testing.assert_array_equal(stream, np.concatenate(expected)[: n_steps * b])
    for epoch in range(4):
        assert sorted(stream[epoch * n : (epoch + 1) * n]) == list(range(3, 3 + n))


@settings(max_examples=25)
@given(st.permutations(range(12)), st.integers(1, 9))
def test_a_batch_does_not_depend_on_what_was_asked_for_before(order: list[int], batch_size: int) -> None:
    in_order = BatchPlan(5, shares(7, 4), batch_size)
    expected = {(c, s): in_order.indices(c, s) for s in range(12) for c in range(2)}
    plan = BatchPlan(5, shares(7, 4), batch_size)
    for step in order:
        for client in (1, 0):
            np.testing.assert_array_equal(plan.indices(client, step), expected[client, step])


def test_a_small_client_uses_all_its_samples_at_each_step() -> None:
    plan = BatchPlan(1, shares(3, 10), 4)
    assert (plan.size(0), plan.size(1)) == (3, 4)
    for step in (0, 1, 99):
        assert sorted(plan.indices(0, step)) == [0, 1, 2]
        assert len(plan.indices(1, step)) == 4
    assert plan.n_clients == 2


def test_a_batch_across_the_end_of_an_epoch_takes_from_both() -> None:
    plan = BatchPlan(1, shares(5), 3)
    first, second = (rng.stream(1, "batches", 0, epoch).permutation(5) for epoch in (0, 1))
    assert plan.indices(0, 1).tolist() == [first[3], first[4], second[0]]


def test_the_caller_may_change_a_batch_without_changing_the_plan() -> None:
    plan = BatchPlan(1, shares(8), 4)
    before = plan.indices(0, 0)
    plan.indices(0, 0)[:] = -1
    np.testing.assert_array_equal(plan.indices(0, 0), before)
    assert before.dtype == np.int64


def test_clients_and_seeds_have_streams_of_their_own() -> None:
    same = [np.arange(20, dtype=np.int64)] * 2
    plan = BatchPlan(1, same, 20)
    assert plan.indices(0, 0).tolist() != plan.indices(1, 0).tolist()
    assert plan.indices(0, 0).tolist() != BatchPlan(2, same, 20).indices(0, 0).tolist()


def test_keys_tell_batches_apart_and_agree_between_plans() -> None:
    plan, again = BatchPlan(1, shares(6, 6), 4), BatchPlan(1, shares(6, 6), 4)
    keys = [plan.key(client, step) for client in range(2) for step in range(3)]
    assert keys == [again.key(client, step) for client in range(2) for step in range(3)]
    others = [BatchPlan(2, shares(6, 6), 4), BatchPlan(1, shares(5, 7), 4), BatchPlan(1, shares(6, 6), 5)]
    keys += [other.key(0, 0) for other in others]
    assert len(set(keys)) == len(keys)


def test_wrong_settings_of_batches_are_refused() -> None:
    with pytest.raises(DataError, match="batch_size must be at least 1, found 0"):
        BatchPlan(1, shares(3), 0)
    with pytest.raises(DataError, match="Client 1 has no samples"):
        BatchPlan(1, shares(3, 0), 2)
    with pytest.raises(ValueError, match="step counts from 0, found -1"):
        BatchPlan(1, shares(3), 2).indices(0, -1)
