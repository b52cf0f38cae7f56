"""The main flow of a study: what is not there yet is run, what fails is told, and all is gathered in tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gapslsim.errors import ResultsError
from gapslsim.records import Progress
from gapslsim.results.outputs import write_text
from gapslsim.results.place import is_run
from gapslsim.results.store import clear_run
from gapslsim.results.study import RUNS, RunRecord, StudyRecord, is_study, read_study, write_study
from gapslsim.studies._runs import Observer, SweepProgress, carry_out_all, done_and_to_do, is_same, stored
from gapslsim.studies._tables import write_tables
from gapslsim.studies.adaptive import adaptive_outcomes
from gapslsim.studies.backend import Backend
from gapslsim.studies.lock import LOCK, held
from gapslsim.studies.plan import Plan, PlannedRun
from gapslsim.studies.searching import more_points

__all__ = ["Observer", "SweepProgress", "check_place", "done_and_to_do", "lies_in", "others_in", "sweep"]


def sweep(
    plan: Plan,
    out: Path,
    backend: Backend,
    *,
    resume: bool = False,
    force: bool = False,
    journal: Path | None = None,
    observer: Observer | None = None,
    on_result: Callable[[RunRecord, Any], None] | None = None,
    on_round: Callable[[PlannedRun, Progress], None] | None = None,
) -> StudyRecord:
    """Runs a study into a directory.

    Args:
        plan: from `load_study`.
        out: the study's directory; see `docs/studies.md` for what it holds.
        backend: where to run.
        resume: go on with the study that lies there; runs of the same resolved scenario are not run again.
        force: replace finished runs that lie there: those of other scenarios with `resume`, else all.
        journal: folder of the journal, which studies of the same training may share; `out/journal` by default.
        observer: told now and then how far it is; may be called from another thread.
        on_result: called with the record and the results of each run that completes.
        on_round: called with each run under way and how far it is; see `carry_out_all`.

    Returns:
        The record with the status of every run; one failed run does not stop the rest.

    Raises:
        ResultsError: if something else lies in the directory, another sweep runs there, or it cannot be written.
        KeyboardInterrupt: after Ctrl-C; what is finished is kept and gathered.
    """
    check_place(plan, out, resume=resume, force=force)
    # A cluster that is not there is told before anything is written.
    with backend, held(out) as hold:
        # Another sweep may have ended here just now.
        check_place(plan, out, resume=resume, force=force)
        records = {run.record.label: run.record for run in plan.runs}
        done, to_do = done_and_to_do(plan, out) if resume or not force else ([], list(plan.possible))
        for run in done:
            records[run.record.label] = dataclasses.replace(run.record, status="completed")
        # The file as it was, beside the results: the original may be edited while the sweep goes on.
        write_text(out / "study.yaml", plan.record.study_yaml)
        choose = None
        if plan.study.adaptive is not None:
            for run in to_do if force and not resume else ():
                clear_run(out / RUNS / run.record.label)
            choose = partial(adaptive_outcomes, plan, plan.study.adaptive, records, partial(stored, out))
        save = partial(_save, plan, records, out)
        try:
            save()
            carry_out_all(
                records, done, to_do, out, backend, save, choose=choose, journal=journal, observer=observer,
                on_result=on_result, on_round=on_round, told=f"{out}: {hold.how}." if hold.how else "",
            )  # fmt: skip
        finally:
            # Also after Ctrl-C: what is finished is gathered and can be looked at.
            gathered = save()
            write_tables(gathered, out)
    # A search that learns: the same study with some trials more.
    if more := more_points(plan, out):
        longer = plan.with_points([*plan.points, *more])
        return sweep(
            longer,
            out,
            backend,
            resume=True,
            force=force,
            journal=journal,
            observer=observer,
            on_result=on_result,
            on_round=on_round,
        )
    return gathered


def check_place(plan: Plan, out: Path, *, resume: bool = False, force: bool = False) -> None:
    """Says before a study whether it may go to a directory; see `sweep`.

    Raises:
        ResultsError: if something else lies there, a study that is not to be resumed, or runs that would be lost.
    """
    if out.exists() and not out.is_dir():
        raise ResultsError(f"{out} is a file; give a directory with --out")
    if not out.exists() or not any(LOCK not in entry.name for entry in out.iterdir()):
        return
    if not is_study(out):
        raise ResultsError(f"{out} is not empty and holds no study; give another directory with --out")
    if force:
        return
    if others := others_in(plan, out):
        raise ResultsError(
            f"{out} holds runs of other scenarios under the same names ({', '.join(others[:3])}"
            f"{f' and {len(others) - 3} more' if len(others) > 3 else ''}); give another directory with --out, or "
            "replace them with --resume --force"
        )
    if not resume:
        raise ResultsError(
            f"{out} holds a study already; go on with it by --resume, run it anew by --force, or give another "
            "directory with --out"
        )


def others_in(plan: Plan, out: Path) -> list[str]:
    """Labels under which finished runs of other scenarios than the planned ones lie in a directory."""
    return [
        run.record.label
        for run in plan.possible
        if is_run(out / RUNS / run.record.label) and not is_same(out, run.record)
    ]


def lies_in(plan: Plan, out: Path) -> bool:
    """Whether a directory holds the whole study, with every possible run finished."""
    if not is_study(out):
        return False
    record, left = read_study(out), done_and_to_do(plan, out)[1]
    if plan.study.adaptive is not None and record.study_yaml == plan.record.study_yaml:
        ended = {(run.label, run.scenario_sha256) for run in record.runs if run.has_ended}
        left = [run for run in left if (run.record.label, run.record.scenario_sha256) not in ended]
    return not left and {run.label for run in record.runs} == {run.record.label for run in plan.runs}


def _save(plan: Plan, records: dict[str, RunRecord], out: Path) -> StudyRecord:
    record = dataclasses.replace(plan.record, runs=[records[run.record.label] for run in plan.runs])
    write_study(record, out)
    return record
