"""Further evaluations near a target."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gapslsim import Results, ScenarioError, load_dict, simulate
from gapslsim.milestones import Position
from gapslsim.near_targets import NearTargets
from gapslsim.scenario.limits import Every
from tests.worlds import small_scenario


def evaluated(near: NearTargets, accuracies: list[float], every: int) -> list[int]:
    """Rounds in which it is evaluated besides those that are due."""
    found = []
    for round, accuracy in enumerate(accuracies):
        at = Position(round, 0.0, 0.0)
        if round % every == 0:
            near.note(at, accuracy, is_due=True)
        elif near.evaluation_is_due(at):
            found.append(round)
            near.note(at, accuracy, is_due=False)
    return found


def test_it_begins_ten_points_before_a_target_or_as_many_as_the_last_rise_and_ends_behind_it() -> None:
    one = Every(1, "rounds")
    # Rounds 1 to 3 come before the first evaluation of trained models.
    # 0.42 at round 4 is within ten points of 0.5, which is reached in round 6.
    slow = [0.3, 0.3, 0.35, 0.4, 0.42, 0.45, 0.5, 0.5, 0.5, 0.5]
    assert evaluated(NearTargets(one, [0.5]), slow, 4) == [1, 2, 3, 5, 6]
    # From 0.1 to 0.4 in four rounds: as much again passes 0.65, though it is not near.
    steep = [0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8]
    assert evaluated(NearTargets(one, [0.65]), steep, 4) == [1, 2, 3, 5, 6, 7]
    assert evaluated(NearTargets(Every(2, "rounds"), [0.65]), steep, 4) == [2, 6]
    assert evaluated(NearTargets(one, [0.99]), steep[:8], 4) == [1, 2, 3]
    assert evaluated(NearTargets(None, [0.5]), slow, 4) == []


def test_a_target_that_the_first_interval_jumps_past_is_seen_in_it() -> None:
    one, steep = Every(1, "rounds"), [0.1, 0.2, 0.6, 0.9, 0.95, 0.95, 0.96, 0.97, 0.98, 0.98]
    near = NearTargets(one, [0.5])
    # As in a run: round 0 is before training.
    found = []
    for round, accuracy in enumerate(steep):
        at = Position(round, 0.0, 0.0)
        if round % 4 == 0 or near.evaluation_is_due(at):
            found.append(round)
            near.note(at, accuracy, is_due=round % 4 == 0)
    assert found == [0, 1, 2, 4, 8]


def run(near: str | None) -> Results:
    evaluation = {"every": "4 rounds", "targets": [0.8], "near_targets": near}
    # Accuracy falls between rounds 9 and 10, which must not end the run.
    stop = {"rounds": 16, "patience": {"evaluations": 1}}
    return simulate(load_dict(small_scenario(evaluation=evaluation, stop=stop)))


def test_they_change_neither_the_training_nor_its_end_and_tell_the_time_more_finely() -> None:
    plain, fine = run(None), run("1 round")
    assert len(fine.evaluations) > len(plain.evaluations)
    due = fine.evaluations.merge(plain.evaluations[["round", "view", "client"]])
    pd.testing.assert_frame_equal(due, plain.evaluations)
    for table in ("spans", "losses", "rounds"):
        pd.testing.assert_frame_equal(getattr(fine, table), getattr(plain, table))
    assert fine.summary["stopped_by"] == plain.summary["stopped_by"]
    (coarse,) = plain.summary["time_to_accuracy_within_s"].values()
    (near,) = fine.summary["time_to_accuracy_within_s"].values()
    assert coarse["after"] <= near["after"] < near["by"] <= coarse["by"]
    assert near["by"] - near["after"] < (coarse["by"] - coarse["after"]) / 3


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"near_targets": "1 round"}, "there are no targets to be near to"),
        ({"near_targets": "8 rounds", "every": "8 rounds", "targets": [0.5]}, "must be less than every"),
    ],
)
def test_an_interval_that_refines_nothing_is_refused(evaluation: Any, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load_dict(small_scenario(evaluation=evaluation))
