"""When an accuracy was reached, worked out by hand."""

from __future__ import annotations

import math

import pytest

from gapslsim.results import words
from gapslsim.results.crossing import Crossing, at_one_evaluation, crossing, crossing_of
from gapslsim.results.statistics import spread


def test_a_target_is_reached_between_the_last_evaluation_below_and_the_first_above() -> None:
    times, accuracies = [0.0, 0.6, 1.2, 1.8], [0.1, 0.5, 0.4, 0.8]
    # From 40 to 80 % in 0.6 s: 60 % lies half-way.
    assert crossing(times, accuracies, 0.6) == pytest.approx((1.2, 1.8, 1.5))
    # The first time counts, although it is below again at 1.2 s.
    assert crossing(times, accuracies, 0.5) == pytest.approx((0.0, 0.6, 0.6))
    assert crossing(times, accuracies, 0.05) == (0.0, 0.0, 0.0)
    assert crossing(times, accuracies, 0.81) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Crossing(4.08, 4.71, 4.5), "4.08 .. 4.71 s"),
        (Crossing(0.9, 1.5, 1.0), "900 ms .. 1.50 s"),
        (Crossing(math.nan, 4.71, math.nan), "by 4.71 s"),
        (Crossing(0.0, 0.0, 0.0), "0 s"),
    ],
)
def test_it_is_told_with_both_ends(found: Crossing, said: str) -> None:
    assert found.words(words.seconds) == said


def test_a_summary_of_an_earlier_version_knows_the_first_evaluation_above_alone() -> None:
    old = {"time_to_accuracy_s": {"0.5": 3.0, "0.9": None}}
    assert crossing_of(old, "0.9") is None
    assert str(crossing_of(old, "0.5")) == str(Crossing(math.nan, 3.0, math.nan))
    new = old | {"time_to_accuracy_within_s": {"0.5": {"after": 2.0, "by": 3.0, "interpolated": 2.5}}}
    assert crossing_of(new, "0.5") == (2.0, 3.0, 2.5)


def test_targets_that_one_evaluation_saw_first_are_told() -> None:
    told = at_one_evaluation({"time_to_accuracy_s": {"0.7": 4.71, "0.8": 4.71, "0.9": 6.0, "0.95": None}})
    assert told.startswith("Seen first at one evaluation: 70 % and 80 % (4.71 s).")
    assert "evaluation.near_targets" in told
    assert not at_one_evaluation(
        {"time_to_accuracy_s": {"0.7": 4.71, "0.9": 6.0, "0.95": None, "0.99": None}}
    )


def test_the_spread_of_times_between_evaluations_has_the_grid_in_it() -> None:
    # Three seeds that agree to some milliseconds, on a grid of 0.6 s: the mean is not known to milliseconds.
    by, after = [1.827, 1.83, 1.833], [1.227, 1.23, 1.233]
    found = spread(by, after)
    assert found.words(words.seconds) == "1.23 .. 1.83 s ± 3.00 ms\n1.22 s .. 1.84 s"
    half = 4.302653 * 0.003 / math.sqrt(3)  # t(0.975, 2) from a table
    assert found.interval == pytest.approx((1.23 - half, 1.83 + half))
    assert (found.low, found.high) == (1.227, 1.833)
