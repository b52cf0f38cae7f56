"""What the runs of a search tell it, and which trials are best."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gapslsim.results.measure import OverSeeds, over_seeds
from gapslsim.results.statistics import dominated
from gapslsim.results.study_tables import Cell, place_name, read_tables
from gapslsim.studies.plan import Plan
from gapslsim.studies.search import Point

__all__ = ["best_trials", "more_points"]


def more_points(plan: Plan, out: Path) -> list[Point]:
    """The points that a search tries next, by what its tables tell; none where it is at its end."""
    search = plan.study.search
    if search is None or not search.learns:
        return []
    told = {tuple(cell.axes.values()): _told(plan, cell) for cell in read_tables(out).cells(plan.searched)}
    # The same points have the same runs.
    names = dict(zip(dict.fromkeys(plan.points), plan.trials, strict=True))
    return search.ask([told.get(names[point]) for point in plan.points])


def _told(plan: Plan, cell: Cell) -> tuple[float, ...] | None:
    """Means over all seeds; nothing where a run failed or an objective has no number."""
    overs = _objectives(plan, cell)
    whole = len(cell.runs) == len(plan.study.seeds) and all(over.spread.n for over in overs)
    return tuple(over.spread.mean for over in overs) if whole else None


def _objectives(plan: Plan, cell: Cell) -> list[OverSeeds]:
    assert plan.study.search is not None
    return [
        over_seeds(measure, cell.runs, plan.record.target_view) for measure in plan.study.search.objective
    ]


def best_trials(plan: Plan, out: Path) -> Iterator[str]:
    """The best trial, or all that none beats in all objectives; a line per setting of the other axes."""
    search = plan.study.search
    if search is None:
        return
    others = [axis for axis in plan.record.axes if axis not in plan.searched]
    groups: dict[str, list[Cell]] = {}
    n_tried = len(plan.trials)
    tables = read_tables(out)
    for cell in tables.cells([*others, *plan.searched]):
        if _told(plan, cell) is not None:
            groups.setdefault(place_name(cell.axes, others), []).append(cell)
    for place, cells in groups.items():
        signs = [-1 if measure.greater_is_better else 1 for measure in search.objective]
        costs = [
            [sign * mean for sign, mean in zip(signs, _told(plan, cell) or (), strict=True)] for cell in cells
        ]
        best = [cell for cell, beaten_by in zip(cells, dominated(costs), strict=True) if beaten_by is None]
        told = "; or ".join(f"{_point(plan, cell)} ({_values(plan, cell)})" for cell in best)
        yield f"Best of {n_tried} trials{_left_out(n_tried - len(cells))}{place and f' for {place}'}: {told}."


def _left_out(n: int) -> str:
    """Of how many trials nobody knows the end."""
    return f" ({n} of them stopped early, failed or not begun)" if n else ""


def _point(plan: Plan, cell: Cell) -> str:
    return ", ".join(f"{axis} {cell.axes[axis]}" for axis in plan.searched)


def _values(plan: Plan, cell: Cell) -> str:
    assert plan.study.search is not None
    of = zip(plan.study.search.objective, _objectives(plan, cell), strict=True)
    return ", ".join(f"{m.name} {over.words(m.unit.factor)} {m.unit.shown}".strip() for m, over in of)
