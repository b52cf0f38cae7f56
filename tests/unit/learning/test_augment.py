"""Augmentation: what is done to a batch, and that it depends on (seed, client, step) alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gapslsim import Results, load, simulate
from gapslsim.data.augmentation import Augmentation
from gapslsim.errors import ScenarioError
from gapslsim.learning.augment import augment, augmented
from gapslsim.rng import stream
from tests.support import small_setup


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("crop", "flip"), [(2, True), (0, True), (3, False)])
def test_images_are_cut_from_a_border_and_mirrored_as_a_plain_loop_does(
    channels: int, crop: int, flip: bool
) -> None:
    images = np.random.default_rng(0).normal(size=(100, channels, 5, 7)).astype(np.float32)
    augmentation = Augmentation(crop=crop, flip=flip)
    places = augmentation.draw(1, 2, 3, len(images), 5, 7)
    made = augment(torch.from_numpy(images), places, crop).numpy()
    random = stream(1, "augmentation", 2, 3)
    down, right = random.integers(0, 2 * crop + 1, (2, len(images), 1))[..., 0]
    mirrored = random.random((len(images), 1))[:, 0] < 0.5 if flip else np.zeros(len(images), bool)
    for n, image in enumerate(images):
        framed = np.pad(image, ((0, 0), (crop, crop), (crop, crop)))
        part = framed[:, down[n] : down[n] + 5, right[n] : right[n] + 7]
        np.testing.assert_array_equal(made[n], part[:, :, ::-1] if mirrored[n] else part)
    if flip:
        assert 30 < mirrored.sum() < 70
    if crop:
        assert {int(d) for d in down} == set(range(2 * crop + 1))


def test_what_is_drawn_depends_on_seed_client_and_step_alone() -> None:
    augmentation = Augmentation(crop=4, flip=True)

    def drawn(*who: int) -> bytes:
        places = augmentation.draw(*who, 8, 8, 8)
        return places.rows.tobytes() + places.columns.tobytes()

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({drawn(1, 2, 3), drawn(2, 2, 3), drawn(1, 3, 3), drawn(1, 2, 4)}) == 4


def test_a_batch_is_the_same_alone_and_among_others() -> None:
    setup = dataclasses.replace(small_setup(), augmentation=Augmentation(crop=1, flip=True))
    inputs = torch.randn(50, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50)
    wanted = [(0, 0), (1, 0), (1, 7)]
    rows = [stream(0, k).permutation(50)[:5] for k in range(3)]
    together = augmented(setup, inputs, labels, wanted, rows)
    for place in range(3):
        (alone,) = augmented(setup, inputs, labels, wanted[place : place + 1], rows[place : place + 1])
        assert torch.equal(alone[0], together[place][0])
        assert alone[1].tolist() == rows[place].tolist()


def run(*changes: str, **options: Any) -> Results:
    sets = [
        "stop.rounds=3",
        "data.partition=iid",
        "evaluation.views=[global]",
        "evaluation.every=1 rounds",
        *changes,
    ]
    return simulate(load("quickstart", set=sets), **options)


@pytest.mark.parametrize("model", ["{kind: mlp, hidden: [8, 8], cut: 1}", "{kind: cnn, cut: 2}"])
def test_one_seed_gives_one_training_with_any_number_of_workers_and_from_a_journal(
    model: str, tmp_path: Any
) -> None:
    both = ["data.augmentation={crop: 1, flip: true}", f"model={model}"]
    first = run(*both, "training.workers=1", journal=tmp_path / "journal")
    other = run(*both, "training.workers=3")
    replayed = run(*both, "clients.0.device=raspberry-pi-4b", journal=tmp_path / "journal")
    plain = run(f"model={model}")
    hashes = [each.summary["learning_sha256"] for each in (first, other, replayed, plain)]
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]
    # Neither time nor the test set is touched.
    assert first.summary["timeline_sha256"] == plain.summary["timeline_sha256"]
    assert first.evaluations["accuracy"][0] == plain.evaluations["accuracy"][0]
    assert first.evaluations["loss"][0] == plain.evaluations["loss"][0]


@pytest.mark.parametrize(
    ("setting", "where", "says"),
    [
        ("data.augmentation={crop: 8}", "data.augmentation.crop", "must be below the side of the images, 8"),
        ("data.augmentation={crop: 0}", "data.augmentation", "nothing is to be done"),
        ("data.augmentation={crop: -1}", "data.augmentation.crop", "greater than or equal to 0"),
        ("data.augmentation={flop: true}", "data.augmentation.flop", "Did you mean 'flip'?"),
        ("data={kind: table, name: wine, augmentation: {flip: true}}", "data.augmentation", "is for images"),
    ],
)
def test_what_cannot_be_done_is_told_at_validate(setting: str, where: str, says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", set=[setting], deep=True)
    (problem,) = caught.value.problems
    assert problem.path == where
    assert says in problem.message


def test_an_augmentation_without_anything_to_do_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing is to be done"):
        Augmentation()
