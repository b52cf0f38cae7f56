"""Measures of runs against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from gapslsim.errors import ResultsError
from gapslsim.records import AlignmentRow, EvaluationRow, RoundRow
from gapslsim.results._spent import spent_by
from gapslsim.results.frames import frame
from gapslsim.results.measure import measures, over_seeds
from gapslsim.results.study import RunRecord
from gapslsim.results.study_tables import StudyRun, place_name

ROUNDS = frame(
    RoundRow,
    [
        RoundRow(1, 0.0, 5.0, 0.5, 2, 1.0, 600, 200, 30.0),
        RoundRow(2, 5.0, 9.0, 1.0, 2, 1.0, 70, 50, 50.0),
        RoundRow(3, 9.0, 20.0, 1.5, 2, 1.0, 10, 20, 20.0),
    ],
)


def run(*accuracies, view="global"):
    """Evaluated at rounds 0, 1, 2, 3."""
    ends = [0.0, 5.0, 9.0, 20.0]
    rows = [EvaluationRow(r, ends[r], view, -1, a, 2.0 - a) for r, a in enumerate(accuracies)]
    record = RunRecord("a-seed1", {"framework": "a"}, 1, "x", "completed")
    return StudyRun(record, frame(EvaluationRow, rows), ROUNDS, frame(AlignmentRow, []))


def value(kind, runs, **settings):
    return measures[kind](**settings).of_run(runs, "global")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("rounds", [0, 1, 2, 3]),
        ("epochs", [0, 0.5, 1, 1.5]),
        ("time", [0, 5, 9, 20]),
        ("bytes", [0, 800, 920, 950]),
        ("energy", [0, 30, 80, 100]),
    ],
)
def test_what_is_spent_adds_up_over_rounds_and_is_nothing_before_the_first(what, expected):
    curve = run(0.1, 0.2, 0.3, 0.4).curve("global")
    assert spent_by(curve, ROUNDS, what).tolist() == expected


@pytest.mark.parametrize(
    ("accuracies", "within", "rule", "place"),
    [
        ([0.1, 0.55, 0.58, 0.57], 0.01, "first", 2),
        ([0.1, 0.57, 0.4, 0.58], 0.01, "first", 1),
        ([0.1, 0.57, 0.4, 0.58], 0.01, "stays", 3),
        ([0.1, 0.57, 0.57, 0.58], 0.01, "stays", 1),
        ([0.1, 0.58, 0.3, 0.2], 0.01, "stays", 4),
        ([0.5, 0.5, 0.5, 0.5], 0.0, "first", 0),
        ([0.1, 0.2, 0.3, 0.4], 0.25, "first", 1),
    ],
)
def test_a_run_has_converged_at_the_evaluation_that_is_near_its_best(accuracies, within, rule, place):
    found = value("converged", run(*accuracies), within=within, rule=rule, spent="rounds")
    before = place - 1 if 0 < place < 3 else None
    assert found == (min(place, 3), place < 3, before)  # the last of four evaluations is a lower bound


def test_epochs_to_converge_are_a_lower_bound_where_only_the_last_evaluation_is_near_the_best():
    assert value("converged", run(0.1, 0.55, 0.58, 0.57)) == (1.0, True, 0.5)
    assert value("converged", run(0.1, 0.2, 0.3, 0.4)) == (1.5, False, None)
    assert value("converged", run(0.1, 0.58, 0.3, 0.2), rule="stays", spent="bytes") == (950.0, False, None)
    assert value("converged", run(0.1, 0.58, 0.3, 0.2), spent="energy") == (30.0, True, 0.0)


def test_a_target_is_reached_at_the_first_evaluation_at_or_above_it_or_not_at_all():
    rising = run(0.1, 0.3, 0.2, 0.4)
    assert value("to_target", rising, target=0.3) == (5.0, True, 0.0)
    assert value("to_target", rising, target=0.31, spent="bytes") == (950.0, True, 920.0)
    assert value("to_target", rising, target=0.5) == (20.0, False, None)
    # A quarter of the way from 0.1 to 0.3 takes a quarter of the 5 s.
    assert value("to_target", rising, target=0.15, interpolate=True) == (pytest.approx(1.25), True, None)


def test_accuracy_is_that_of_the_last_evaluation_or_the_best():
    falling = run(0.1, 0.3, 0.2)
    assert value("accuracy", falling) == (0.2, True, None)
    assert value("accuracy", falling, at="best") == (0.3, True, None)


def test_totals_are_those_of_the_whole_run_however_often_it_is_evaluated():
    assert value("total", run(0.1), spent="energy") == (100.0, True, None)
    assert value("total", run(0.1), spent="time") == (20.0, True, None)


def test_over_seeds_a_mean_with_an_unreached_target_is_told_as_a_lower_bound():
    to_half = measures["to_target"](target=0.5)
    over = over_seeds(to_half, [run(0.1, 0.5), run(0.1, 0.2, 0.3, 0.4)], "global")
    assert over.spread.mean == pytest.approx((5.0 + 20.0) / 2)
    assert over.words(1.0) == "≥ 12.5 (1/2)"
    assert not over.reached
    both = over_seeds(to_half, [run(0.1, 0.5), run(0.1, 0.2, 0.5)], "global")
    # Seen first at 5 and 9 s, at 0 and 5 s not yet.
    assert both.words(1.0) == f"2.5 .. 7.0 ± {math.sqrt(8):.1f}"
    assert (both.spread.low, both.spread.high) == (0.0, 9.0)
    assert over_seeds(to_half, [run(0.1, 0.5)], "global").words(1e-3) == "0.00000 .. 0.00500"
    assert over_seeds(to_half, [], "global").words(1.0) == "-"


def test_a_view_that_was_not_evaluated_is_refused_with_those_that_were():
    with pytest.raises(ResultsError, match="no evaluation in the view 'local'; it has: global"):
        run(0.1).curve("local")


def test_bare_numbers_are_told_with_their_axis():
    axes = {"partition": "IID", "count": "20", "alpha": "0.1"}
    assert place_name(axes, ["partition", "count"]) == "IID, count 20"
    assert place_name(axes, []) == ""
