"""Every study file that ships with the project can be planned; those of the paper ask for a figure that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim.results.study_figure import figure_of
from gapslsim.scenario.shipped import shipped_studies
from gapslsim.studies.plan import load_study

ROOT = Path(__file__).resolve().parents[2]
STUDIES = shipped_studies()
PAPER = ["table1", "table2", "table3", *(f"fig{n}" for n in (2, 3, 5, 7, 8, 10, 11, 13, 20, 21))]


def test_every_study_of_the_paper_has_a_full_size_and_a_small_file() -> None:
    for name in PAPER:
        assert {f"paper/studies/{name}", f"paper/studies/small/{name}"} <= STUDIES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_run_of_a_shipped_study_is_possible_and_a_figure_has_every_axis_once(name: str) -> None:
    plan = load_study(STUDIES[name])
    assert [str(problem) for run in plan.impossible for problem in run.problems] == []
    figure = figure_of(plan.record)
    if figure is None:
        assert not name.startswith("paper/")
        return
    placed = [axis for axes in figure.lay_out(plan.record).values() for axis in axes]
    several = {axis for axis, values in plan.record.axes.items() if len(values) > 1}
    assert len(placed) == len(set(placed))
    assert several <= set(placed) <= plan.record.axes.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_a_small_study_of_the_paper_asks_for_the_same_figure_as_the_full_one(name: str) -> None:
    full, small = (
        load_study(STUDIES[f"paper/studies/{place}{name}"]).study.figure for place in ("", "small/")
    )
    assert full is not None
    assert small is not None
    assert (small.kind, small.places) == (full.kind, full.places)
    assert small.title == f"Small twin of {full.title}"
