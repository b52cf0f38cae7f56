"""The main flow of a study: what is not there yet is run, what fails is told, and all is gathered in tables."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from gapslsim.errors import ResultsError
from gapslsim.results.outputs import write_text
from gapslsim.results.place import SCENARIO, is_run
from gapslsim.results.store import StoredRun, clear_run, write_results
from gapslsim.results.study import RUNS, RunRecord, StudyRecord, is_study, read_study, write_study
from gapslsim.scenario.limits import Every
from gapslsim.studies._execute import Job, Outcome
from gapslsim.studies._order import training_and_timing
from gapslsim.studies._tables import write_tables
from gapslsim.studies.adaptive import adaptive_outcomes
from gapslsim.studies.backend import Backend
from gapslsim.studies.lock import LOCK, held
from gapslsim.studies.plan import Plan, PlannedRun

__all__ = ["SweepProgress", "check_place", "done_and_to_do", "lies_in", "others_in", "sweep"]

JOURNAL: Final = "journal"
NOTES: Final = ".notes"
_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a study has come."""

    n_runs: int
    """Runs to carry out now; those found finished are not among them."""
    n_done: int
    n_failed: int
    share: float
    """Of the work of all runs, in [0, 1]; runs under way count by what they say of themselves."""
    wall_time_s: float
    ended: str = ""
    """Label of the run that has just ended; empty for news of runs under way."""
    error: str = ""
    """Of that run."""
    note: str = ""
    """What else is to be told: how the directory is protected, a worker that died."""


Observer = Callable[[SweepProgress], None]


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

    Returns:
        The record with the status of every run; one failed run does not stop the rest.

    Raises:
        ResultsError: if something else lies in the directory, another sweep runs there, or it cannot be written.
        KeyboardInterrupt: after Ctrl-C; what is finished is kept and gathered.
    """
    check_place(plan, out, resume=resume, force=force)
    with held(out) as hold:
        # Another sweep may have ended here just now.
        check_place(plan, out, resume=resume, force=force)
        records = {run.record.label: run.record for run in plan.runs}
        done, to_do = done_and_to_do(plan, out) if resume or not force else ([], list(plan.possible))
        for run in done:
            records[run.record.label] = dataclasses.replace(run.record, status="completed")
        trained = journal if journal is not None else out / JOURNAL
        for folder in (out / RUNS, trained, out / NOTES):
            folder.mkdir(parents=True, exist_ok=True)
        # The file as it was, beside the results: the original may be edited while the sweep goes on.
        write_text(out / "study.yaml", plan.record.study_yaml)

        def carry(runs: Sequence[PlannedRun], until: Every | None = None) -> Generator[Outcome, None, None]:
            return _outcomes(done, runs, out, trained, backend, until)

        if plan.study.adaptive is None:
            outcomes = carry(to_do)
        else:
            for run in to_do if force and not resume else ():
                clear_run(out / RUNS / run.record.label)
            outcomes = adaptive_outcomes(plan, plan.study.adaptive, records, partial(_stored, out), carry)
        try:
            _save(plan, records, out)
            with _watch(to_do, out, observer, records) as news, closing(outcomes):
                if hold.how:
                    news(note=f"{out}: {hold.how}.")
                for outcome in outcomes:
                    record = _keep(records[outcome.label], outcome, out)
                    records[record.label] = record
                    _save(plan, records, out)
                    news(record)
                    if on_result is not None and record.status == "completed":
                        on_result(record, outcome.results)
        finally:
            # Also after Ctrl-C: what is finished is gathered and can be looked at.
            gathered = _save(plan, records, out)
            write_tables(gathered, out)
            shutil.rmtree(out / NOTES, ignore_errors=True)
    return gathered


def _outcomes(
    done: Sequence[PlannedRun],
    to_do: Sequence[PlannedRun],
    out: Path,
    journal: Path,
    backend: Backend,
    until: Every | None,
) -> Generator[Outcome, None, None]:
    """Of the runs that train, then of those that the journal spares it."""
    for wave in filter(None, training_and_timing(to_do, done)):
        # Per wave, as a wave of one run has the machine for itself.
        shares_cpus = backend.shares_cpus(len(wave))
        note, trained = (out / NOTES).resolve(), str(journal.resolve())
        jobs = [
            Job(
                run.record.label,
                run.yaml,
                trained,
                str(note / run.record.label),
                shares_cpus,
                str(until) if until else "",
            )
            for run in wave
        ]
        with closing(backend.run(jobs)) as outcomes:
            yield from outcomes


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
        if is_run(out / RUNS / run.record.label) and not _is_same(out, run.record)
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


def done_and_to_do(plan: Plan, out: Path) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """The possible runs that lie finished in a directory, and those that are left."""
    done: list[PlannedRun] = []
    to_do: list[PlannedRun] = []
    for run in plan.possible:
        (done if _finished(out, run.record) else to_do).append(run)
    return done, to_do


def _finished(out: Path, record: RunRecord) -> bool:
    """Whether this very run lies there, completed and whole."""
    stored = _stored(out, record)
    return stored is not None and stored.summary["status"] == "completed"


def _stored(out: Path, record: RunRecord) -> StoredRun | None:
    """The very run, whole, if it lies there: the resolved scenario has the same hash."""
    try:
        return StoredRun(out / RUNS / record.label) if _is_same(out, record) else None
    except ResultsError:
        return None


def _is_same(out: Path, record: RunRecord) -> bool:
    """By content, not by label: a changed base makes a finished run of the same name another one."""
    folder = out / RUNS / record.label
    try:
        return is_run(folder) and (
            hashlib.sha256((folder / SCENARIO).read_bytes()).hexdigest() == record.scenario_sha256
        )
    except OSError:
        return False


def _keep(record: RunRecord, outcome: Outcome, out: Path) -> RunRecord:
    """Writes the run directory; a failure to write is the run's own."""
    status = f"failed: {outcome.error}" if outcome.error else "completed"
    if not outcome.error and outcome.results is not None and outcome.results.summary["status"] != "completed":
        status = record.status  # It was stopped for now; the study decides whether it goes on.
    folder = out / RUNS / record.label
    try:
        if outcome.results is None:
            clear_run(folder)
        else:
            write_results(outcome.results, folder, replace=True)
    except (ResultsError, OSError) as error:
        status = f"failed: {error}"
    return dataclasses.replace(record, status=status)


def _save(plan: Plan, records: dict[str, RunRecord], out: Path) -> StudyRecord:
    record = dataclasses.replace(plan.record, runs=[records[run.record.label] for run in plan.runs])
    write_study(record, out)
    return record


@contextmanager
def _watch(
    to_do: list[PlannedRun], out: Path, observer: Observer | None, records: dict[str, RunRecord]
) -> Iterator[Callable[..., None]]:
    """Tells the observer of every run that ends, and each second of what is under way."""
    started = time.monotonic()
    stop = Event()

    def news(record: RunRecord | None = None, note: str = "") -> None:
        if observer is None:
            return
        label, error = "", ""
        if record is not None:
            label, error = record.label, "" if record.status in ("completed", "planned") else record.status
        of = {run.record.label: records[run.record.label] for run in to_do}
        ended = {name: each for name, each in of.items() if each.status != "planned"}
        under_way = sum(_noted(out / NOTES / name) for name in of.keys() - ended.keys())
        share = (len(ended) + under_way) / len(to_do) if to_do else 1.0
        n_failed = sum(not each.has_ended for each in ended.values())
        elapsed_s = time.monotonic() - started
        observer(SweepProgress(len(to_do), len(ended), n_failed, share, elapsed_s, label, error, note))

    def look() -> None:
        while not stop.wait(_LOOK_EVERY_S):
            news()

    # A thread, since runs may be minutes apart and the main one waits for outcomes.
    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield news
    finally:
        stop.set()
        thread.join()


def _noted(note: Path) -> float:
    """Share done that a run under way has noted."""
    try:
        return min(1.0, float(json.loads(note.read_text(encoding="ascii"))))
    except (OSError, ValueError):
        return 0.0
