"""Clients that train in one part of a run and are frozen in the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.slots import client_updates
from gapslsim.learning.learner import Learner
from tests.support import Stage, small_setup, stage


def run(n_rounds: int, **update: Any) -> Stage:
    # 40 samples, 2 clients with batches of 5: an epoch is 4 rounds.
    return stage(small_setup(2)).run(frameworks["parallel"](client_update=update), n_rounds)


def phases(made: Stage, phase: str) -> list[int]:
    return sorted({span.round for span in made.recorder.spans if span.phase == phase})


def client_parameters(learner: Learner) -> list[torch.Tensor]:
    return [p for client in range(2) for p in learner.client_state(client).value.parameters]


def equal(left: Stage, right: Stage) -> bool:
    pairs = zip(client_parameters(left.learner), client_parameters(right.learner), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("update", "training"),
    [
        ({"rounds": 2}, [1, 2]),
        ({"rounds": 2, "then": "own"}, [3, 4, 5, 6]),
        ({"epochs": 1}, [1, 2, 3, 4]),
        ({"epochs": 1, "then": "own"}, [5, 6]),
        ({"epochs": 0.6}, [1, 2, 3]),
        ({"rounds": 9}, [1, 2, 3, 4, 5, 6]),
    ],
    ids=str,
)
def test_nothing_is_sent_down_and_no_backward_pass_is_made_in_rounds_without_training(
    update: dict[str, Any], training: list[int]
) -> None:
    made = run(6, kind="warmup", **update)
    assert phases(made, "downlink") == phases(made, "client_backward") == training
    assert phases(made, "uplink") == [1, 2, 3, 4, 5, 6]


def test_while_they_train_clients_are_those_of_psl_and_afterwards_they_stay_so() -> None:
    warm = run(5, kind="warmup", rounds=3)
    assert equal(warm, run(3, kind="own"))
    assert not equal(warm, run(5, kind="own"))


def test_while_they_wait_clients_keep_the_initial_weights_and_the_server_trains() -> None:
    waiting = run(3, kind="warmup", rounds=3, then="own")
    frozen = run(3, kind="frozen")
    assert equal(waiting, frozen)
    for left, right in zip(
        waiting.learner.server_state.value.parameters,
        frozen.learner.server_state.value.parameters,
        strict=True,
    ):
        assert torch.equal(left, right)
    assert not equal(run(4, kind="warmup", rounds=3, then="own"), frozen)


def test_a_dry_run_has_the_same_timeline() -> None:
    framework = frameworks["parallel"](client_update={"kind": "warmup", "epochs": 1})
    hashes = [stage(small_setup(2), dry=dry).run(framework, 6).recorder.timeline_sha256() for dry in (0, 1)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(("given", "found"), [({}, "neither"), ({"rounds": 2, "epochs": 1}, "both")])
def test_rounds_or_epochs_must_be_given(given: dict[str, Any], found: str) -> None:
    with pytest.raises(ValidationError, match=f"rounds or epochs must be given, found {found}"):
        client_updates["warmup"](**given)


@pytest.mark.parametrize("given", [{"rounds": 0}, {"epochs": 0}, {"rounds": 2, "then": "train"}], ids=str)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        client_updates["warmup"](**given)
