"""The steps of an adaptive study: which runs go how far, and which settings are given up in between.

A run that goes on is carried out again from its start, and finds in the journal all that it was trained before. What is
decided follows from tables that lie in the run directories, cut where the step ended; so a study that is resumed
decides the same, whatever was finished when it was cut off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import groupby

from gapslsim.results.store import StoredRun
from gapslsim.results.study import RunRecord
from gapslsim.results.study_tables import StudyRun
from gapslsim.scenario.limits import Every
from gapslsim.studies._execute import Outcome
from gapslsim.studies.plan import Plan, PlannedRun
from gapslsim.studies.scheduler import Scheduler, Setting, Step

__all__ = ["adaptive_outcomes", "shortest"]

Carry = Callable[[Sequence[PlannedRun], Every | None], Generator[Outcome, None, None]]
"""Carries runs out as far as that; None is to their ends."""
Records = dict[str, RunRecord]
_MOST_STEPS = 30
Cell = tuple[PlannedRun, ...]
"""Runs that differ in the seed alone, in the order of the seeds."""


def adaptive_outcomes(
    plan: Plan,
    scheduler: Scheduler,
    records: Records,
    stored: Callable[[RunRecord], StoredRun | None],
    carry: Carry,
) -> Generator[Outcome, None, None]:
    """Outcomes of runs, step by step.

    Args:
        plan: the study.
        scheduler: what stops runs.
        records: by label; those that are stopped get that status here. What is run gets its own before the next outcome
            is asked for.
        stored: the run of a record as it lies in the study's directory, if it does.
        carry: carries out runs.
    """
    groups = _groups(plan.possible, scheduler)
    number = 0
    while True:
        step = scheduler.step(number, max(map(len, groups), default=0))
        n_seeds = step.n_seeds
        if n_seeds is not None and n_seeds >= len(plan.study.seeds):
            step = Step()
        going = [run for cells in groups for cell in cells for run in cell[: step.n_seeds]]
        lie = {run.record.label: stored(run.record) for run in going}
        wave = [run for run in going if not _is_there(lie[run.record.label], step.until)]
        yield from carry(wave, step.until)
        if step.is_last:
            return
        groups = [_left(cells, plan, step, scheduler, records, stored) for cells in groups]
        if step.n_seeds is None and all(
            _has_ended(run, records) for cells in groups for cell in cells for run in cell
        ):
            return
        number += 1


def _has_ended(run: PlannedRun, records: Records) -> bool:
    return records[run.record.label].status != "planned"


def _left(
    cells: Sequence[Cell],
    plan: Plan,
    step: Step,
    scheduler: Scheduler,
    records: Records,
    stored: Callable[[RunRecord], StoredRun | None],
) -> list[Cell]:
    """The cells of a group that go on; the others are noted as stopped."""
    settings = [_setting(cell, plan, step, records, stored) for cell in cells]
    verdicts = scheduler.verdicts(settings, step, plan.record.target_view) if settings else {}
    for place, why in verdicts.items():
        for run in cells[place]:
            label = run.record.label
            if records[label].status == "planned":
                begun = run in cells[place][: step.n_seeds]
                how = f"stopped: after {step.until}" if begun else "spared: not begun"
                records[label] = dataclasses.replace(records[label], status=f"{how}; {why}")
    return [cell for place, cell in enumerate(cells) if place not in verdicts]


def _setting(
    cell: Cell,
    plan: Plan,
    step: Step,
    records: Records,
    stored: Callable[[RunRecord], StoredRun | None],
) -> Setting:
    runs, n_failed = [], 0
    for run in cell[: step.n_seeds]:
        found = stored(run.record)
        failed = records[run.record.label].status.startswith("failed")
        if failed or found is None:
            n_failed += 1
        else:
            runs.append(_cut(run.record, found, step.until))
    stop = next(run.scenario.stop for run in cell if run.scenario is not None)
    return Setting(cell[0].record.axes, tuple(runs), n_failed, len(plan.study.seeds), stop)


def _groups(runs: Iterable[PlannedRun], scheduler: Scheduler) -> list[list[Cell]]:
    """Cells that compete with one another."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    # Runs that differ in the seed alone follow one another.
    for _, cell in groupby(runs, key=lambda run: tuple(run.record.axes.values())):
        found = tuple(cell)
        axes = found[0].record.axes
        groups.setdefault(tuple(axes[name] for name in scheduler.within), []).append(found)
    return list(groups.values())


def _is_there(run: StoredRun | None, until: Every | None) -> bool:
    """Whether a run lies there as far as that."""
    if run is None:
        return False
    if run.summary["status"] == "completed":
        return True
    stopped = str(run.summary["status"]).startswith("stopped")
    return until is not None and stopped and _last_round(run, until) is not None


def _last_round(run: StoredRun, until: Every) -> int | None:
    """The round with whose end a run comes as far as that; None if it does not."""
    rounds = run.table("rounds")
    column = {"rounds": "round", "epochs": "epoch", "s": "end_s"}[until.unit]
    passed = rounds["round"][[until.passed(along) > 0 for along in rounds[column]]]
    return int(passed.iloc[0]) if len(passed) else None


def _cut(record: RunRecord, run: StoredRun, until: Every | None) -> StudyRun:
    """A run as it stood there: its tables begin with what a shorter run would have."""
    last = None if until is None else _last_round(run, until)
    names = ("evaluations", "rounds", "alignment")
    tables = {name: run.table(name) for name in names}
    if last is not None:
        tables = {name: table[table["round"] <= last] for name, table in tables.items()}
    return StudyRun(record, **tables)


def shortest(plan: Plan, scheduler: Scheduler) -> Iterator[tuple[Step, int]]:
    """The steps in which as many settings are given up as can be, each with the runs that it takes."""
    going = [len(cells) for cells in _groups(plan.possible, scheduler)]
    for number in range(_MOST_STEPS):
        step = scheduler.step(number, max(going, default=0))
        n_seeds = min(step.n_seeds or len(plan.study.seeds), len(plan.study.seeds))
        yield step, n_seeds * sum(going)
        left = [scheduler.least(n) for n in going]
        if step.is_last:
            return
        if left == going:
            break
        going = left
    yield Step(), len(plan.study.seeds) * sum(going)
