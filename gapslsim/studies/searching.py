"""What the runs of a search tell it, and which trials are best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from gapslsim.results.measure import Measure, MeasureList, OverSeeds, over_seeds
from gapslsim.results.statistics import dominated
from gapslsim.results.study_tables import Cell, StudyTables, place_name, read_tables
from gapslsim.studies.plan import Plan
from gapslsim.studies.search import Point

__all__ = ["best_trials", "more_points"]


def more_points(plan: Plan, out: Path) -> list[Point]:
    """The points that a search tries next, by what its tables tell; none where it is at its end."""
    search = plan.study.search
    if search is None or not search.learns:
        return []
    study = read_tables(out)
    cells = study.cells(plan.record.searched)
    told = {tuple(cell.axes.values()): _means(study, cell, search.objective) for cell in cells}
    # The same points have the same runs.
    names = dict(zip(dict.fromkeys(plan.points), plan.trials, strict=True))
    return search.ask([told.get(names[point]) for point in plan.points])


def best_trials(study: StudyTables) -> Iterator[str]:
    """The best trial, or all that none beats in all objectives; a line per setting of the other axes."""
    record = study.record
    objective = TypeAdapter(MeasureList).validate_python(record.objective) if record.searched else ()
    others = [axis for axis in record.axes if axis not in record.searched]
    groups: dict[str, list[Cell]] = {}
    for cell in study.cells([*others, *record.searched]) if objective else ():
        groups.setdefault(place_name(cell.axes, others), []).append(cell)
    signs = [-1 if measure.greater_is_better else 1 for measure in objective]
    for place, cells in groups.items():
        known = [(cell, means) for cell in cells if (means := _means(study, cell, objective)) is not None]
        beaten = dominated([[a * b for a, b in zip(signs, means, strict=True)] for _, means in known])
        best = [cell for (cell, _), by in zip(known, beaten, strict=True) if by is None]
        told = "; or ".join(_words(study, cell, objective) for cell in best) or "nobody knows"
        left = len(cells) - len(known)
        early = f" ({left} of them stopped early, failed or not begun)" if left else ""
        yield f"Best of {len(cells)} trials{early}{place and f' for {place}'}: {told}."


def _objectives(study: StudyTables, cell: Cell, objective: Sequence[Measure]) -> list[OverSeeds]:
    return [over_seeds(measure, cell.runs, study.record.target_view) for measure in objective]


def _means(study: StudyTables, cell: Cell, objective: Sequence[Measure]) -> tuple[float, ...] | None:
    """Over all seeds; nothing where a run failed or was stopped, or an objective has no number."""
    whole = len(cell.runs) == len(study.record.seeds) and not any(r.record.is_stopped for r in cell.runs)
    overs = _objectives(study, cell, objective) if whole else []
    return (
        tuple(over.spread.mean for over in overs) if overs and all(over.spread.n for over in overs) else None
    )


def _words(study: StudyTables, cell: Cell, objective: Sequence[Measure]) -> str:
    overs = zip(objective, _objectives(study, cell, objective), strict=True)
    told = ", ".join(f"{m.name} {over.words(m.unit.factor)} {m.unit.shown}".strip() for m, over in overs)
    return f"{', '.join(f'{axis} {cell.axes[axis]}' for axis in study.record.searched)} ({told})"
