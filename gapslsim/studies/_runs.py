"""Runs carried out into a study's directory: each is kept as it ends, and how far they are is told."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from gapslsim.errors import ResultsError
from gapslsim.learning.journal.folder import claim_journal
from gapslsim.records import Progress
from gapslsim.regular_files import read_bytes, read_text
from gapslsim.results.place import SCENARIO, is_run
from gapslsim.results.store import StoredRun, clear_run, write_results
from gapslsim.results.study import RUNS, RunRecord
from gapslsim.scenario.limits import Every
from gapslsim.studies._execute import Job, Outcome, SharedDisk
from gapslsim.studies._live import Hearing
from gapslsim.studies._order import training_and_timing
from gapslsim.studies.backend import Backend
from gapslsim.studies.plan import Plan, PlannedRun
from gapslsim.whole_files import make_folder

__all__ = ["Observer", "SweepProgress", "carry_out_all", "done_and_to_do", "is_same", "stored"]

JOURNAL: Final = "journal"
NOTES: Final = ".notes"
_LOOK_EVERY_S: Final = 1.0

Carry = Callable[..., Generator[Outcome, None, None]]
"""Carries runs out, as far as is said: `carry(runs, until)`."""


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


def carry_out_all(
    records: dict[str, RunRecord],
    done: Sequence[PlannedRun],
    to_do: Sequence[PlannedRun],
    out: Path,
    backend: Backend,
    save: Callable[[], object],
    *,
    choose: Callable[[Carry], Generator[Outcome, None, None]] | None = None,
    journal: Path | None = None,
    observer: Observer | None = None,
    on_result: Callable[[RunRecord, Any], None] | None = None,
    on_round: Callable[[PlannedRun, Progress], None] | None = None,
    told: str = "",
    name: str = "",
) -> None:
    """Carries runs out and writes each into its directory as it ends; one that fails does not stop the rest.

    Args:
        records: of the runs by label; each is replaced by one with its status as it ends.
        done: runs that are finished, whose training the journal has.
        to_do: runs to carry out.
        out: the study's directory, which the caller holds.
        backend: where, connected.
        save: keeps the records; called whenever one has changed.
        choose: decides what is carried out and how far; all to its end, in the order of the study, unless given.
        journal: its folder, `out/journal` by default.
        observer: told now and then how far it is; may be called from another thread.
        on_result: called with the record and the results of each run that completes.
        on_round: called with each run under way and how far it is, as its rounds are heard of: a second later or more,
            from another thread; of what is not heard so, not at all.
        told: what the observer is told first.
        name: that tells this call from others in the same directory.
    """
    trained = (journal if journal is not None else out / JOURNAL).absolute()
    notes = (out / f"{NOTES}{name}").absolute()
    claim_journal(trained)
    for folder in (out / RUNS, notes):
        make_folder(folder)
    disk = SharedDisk.of(trained)
    planned = {run.record.label: run for run in to_do}
    hearing = on_round and Hearing(notes, lambda label, progress: on_round(planned[label], progress))

    def carry(runs: Sequence[PlannedRun], until: Every | None = None) -> Generator[Outcome, None, None]:
        return _outcomes(done, runs, notes, disk, backend, until, hearing is not None)

    outcomes = carry(to_do) if choose is None else choose(carry)
    try:
        with _watch(to_do, notes, observer, records, hearing) as news, closing(outcomes):
            backend.say = lambda note: news(note=note)
            if told:
                news(note=told)
            apart = set(backend.without(disk) if to_do else ())
            for where in sorted(apart):
                news(note=_apart(where, trained))
            for outcome in outcomes:
                if outcome.apart and outcome.apart not in apart:
                    apart.add(outcome.apart)
                    news(note=_apart(outcome.apart, trained))
                if hearing is not None:
                    hearing.ended(outcome.label)
                record = records[outcome.label] = _write(records[outcome.label], outcome, out)
                save()
                news(record)
                if on_result is not None and record.status == "completed":
                    on_result(record, outcome.results)
    finally:
        shutil.rmtree(notes, ignore_errors=True)


def _apart(machine: str, journal: Path) -> str:
    return (
        f"{machine} does not see {journal}: each of its runs trains all by itself, and what it trains is kept nowhere. "
        "Give a directory with --out (or --journal) on a disk that all machines see"
    )


def _outcomes(
    done: Sequence[PlannedRun],
    to_do: Sequence[PlannedRun],
    notes: Path,
    disk: SharedDisk,
    backend: Backend,
    until: Every | None,
    say_rounds: bool,
) -> Generator[Outcome, None, None]:
    """Of the runs that train, then of those that the journal spares it."""
    for wave in filter(None, training_and_timing(to_do, done)):
        # Per wave, as a wave of one run has the machine for itself.
        shares_cpus = backend.shares_cpus(len(wave))
        jobs = [
            Job(
                run.record.label, run.yaml, disk, str(notes / run.record.label), say_rounds, shares_cpus,
                str(until) if until else "",
            )
            for run in wave
        ]  # fmt: skip
        with closing(backend.run(jobs)) as outcomes:
            yield from outcomes


def done_and_to_do(plan: Plan, out: Path) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """The possible runs that lie finished in a directory, and those that are left."""
    done: list[PlannedRun] = []
    to_do: list[PlannedRun] = []
    for run in plan.possible:
        (done if _finished(out, run.record) else to_do).append(run)
    return done, to_do


def _finished(out: Path, record: RunRecord) -> bool:
    """Whether this very run lies there, completed and whole."""
    found = stored(out, record)
    return found is not None and found.summary["status"] == "completed"


def stored(out: Path, record: RunRecord) -> StoredRun | None:
    """The very run, whole, if it lies there: the resolved scenario has the same hash."""
    try:
        return StoredRun(out / RUNS / record.label) if is_same(out, record) else None
    except ResultsError:
        return None


def is_same(out: Path, record: RunRecord) -> bool:
    """By content, not by label: a changed base makes a finished run of the same name another one."""
    folder = out / RUNS / record.label
    try:
        return is_run(folder) and (
            hashlib.sha256(read_bytes(folder / SCENARIO)).hexdigest() == record.scenario_sha256
        )
    except OSError:
        return False


def _write(record: RunRecord, outcome: Outcome, out: Path) -> RunRecord:
    """Writes the run directory; a failure to write is the run's own."""
    status = f"failed: {outcome.error}" if outcome.error else "completed"
    if not outcome.error and outcome.results is not None and outcome.results.summary["status"] != "completed":
        status = record.status  # It was stopped for now; the study decides whether it goes on.
    folder = out / RUNS / record.label
    try:
        if folder.is_symlink():  # No sweep makes one: in a study from elsewhere it leads to another's files.
            raise ResultsError(f"{folder} is a link, and nothing is written through it; delete it")
        if outcome.results is None:
            clear_run(folder)
        else:
            write_results(outcome.results, folder, replace=True)
    except (ResultsError, OSError) as error:
        status = f"failed: {error}"
    return dataclasses.replace(record, status=status)


@contextmanager
def _watch(
    to_do: Sequence[PlannedRun],
    notes: Path,
    observer: Observer | None,
    records: dict[str, RunRecord],
    hearing: Hearing | None,
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
        under_way = sum(_noted(notes / name) for name in of.keys() - ended.keys())
        share = (len(ended) + under_way) / len(to_do) if to_do else 1.0
        n_failed = sum(not each.has_ended for each in ended.values())
        elapsed_s = time.monotonic() - started
        observer(SweepProgress(len(to_do), len(ended), n_failed, share, elapsed_s, label, error, note))

    def look() -> None:
        while not stop.wait(_LOOK_EVERY_S):
            if hearing is not None:
                for run in to_do:
                    hearing.look(run.record.label)
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
        return min(1.0, float(json.loads(read_text(note))))
    except (OSError, ValueError):
        return 0.0
