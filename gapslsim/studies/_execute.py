"""One run, wherever it is carried out: a scenario as text in, results or an error in words out."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gapslsim.errors import GapslsimError
from gapslsim.faults import in_words, out_of_memory
from gapslsim.learning.journal.folder import MARKER
from gapslsim.regular_files import read_bytes
from gapslsim.studies._live import saying

if TYPE_CHECKING:
    from gapslsim.records import Progress
    from gapslsim.results.results import Results

__all__ = ["Job", "Outcome", "SharedDisk", "carry_out"]

_EVERY_S: Final = 1.0
"""Wall time between two notes of how far a run is."""


@dataclass(frozen=True, slots=True)
class SharedDisk:
    """A journal, and how a machine tells that it sees this one and not another at the same path."""

    journal: str
    marker_sha256: str

    @classmethod
    def of(cls, journal: Path) -> SharedDisk:
        """Of a journal that is there."""
        return cls(str(journal), _digest(journal / MARKER))

    def blind(self) -> str:
        """The name of this machine if it does not see the journal; empty if it does."""
        return "" if _sees(self) else socket.gethostname()


@cache
def _sees(disk: SharedDisk) -> bool:
    for wait_s in (1.0, 2.0, 0.0):
        if _digest(Path(disk.journal) / MARKER) == disk.marker_sha256:
            return True
        # NFS may remember for a moment that a new file was not there.
        time.sleep(wait_s if Path(disk.journal).is_dir() else 0.0)
    return False


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(file)).hexdigest()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs; plain text, so that it can be sent anywhere."""

    label: str
    scenario_yaml: str
    disk: SharedDisk | None = None
    """With the journal that all runs share; None for none."""
    note: str = ""
    """File in which the run notes its share done; empty for none."""
    says_rounds: bool = False
    """Whether it says each of its rounds beside that."""
    shares_cpus: bool = True
    """Whether other runs use the same CPUs; then `training.workers: auto` means one."""
    until: str = ""
    """How far it goes, `5 epochs`; empty for its end."""
    memory_bytes: float | None = None
    """Of its GPU that it may take; None for what is free."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    label: str
    results: Results | None
    """Tables; also of a run whose loss became infinite, up to then. None if there is nothing."""
    error: str
    """In words; empty if the run completed."""
    wall_time_s: float
    out_of_memory: bool = False
    """Whether the memory of its device did not suffice."""
    apart: str = ""
    """The machine, if it does not see the journal."""


def carry_out(job: Job) -> Outcome:
    """Runs a scenario; never raises but for Ctrl-C. Called in a process of its own or on another machine."""
    started = time.perf_counter()
    results: Results | None = None
    error, short = "", False
    try:
        results = _with_origin(_simulate(job))
        if results.summary["status"] == "interrupted":
            raise KeyboardInterrupt
        if not str(results.summary["status"]).startswith(("completed", "stopped")):
            error = str(results.summary["status"])
    except GapslsimError as problem:
        error = str(problem)
        results = _with_origin(problem.results) if problem.results is not None else None
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        # One broken run must not end the study, whatever is broken.
        error, short = _in_words(job, problem), out_of_memory(problem)
    apart = "" if job.disk is None else job.disk.blind()
    return Outcome(job.label, results, error, time.perf_counter() - started, short, apart)


def _in_words(job: Job, problem: BaseException) -> str:
    """What the deep checks of the scenario say, if they find something; else the error, with a report here."""
    from gapslsim.scenario.checks import deep_problems
    from gapslsim.scenario.loading import loads

    try:
        found = deep_problems(loads(job.scenario_yaml, file=job.label))
    except Exception:
        found = []
    if found:
        return "; ".join(map(str, found))
    return in_words(problem, f"run {job.label} of a study")


def _simulate(job: Job) -> Results:
    from gapslsim.run import simulate
    from gapslsim.scenario.loading import loads

    scenario = loads(job.scenario_yaml, file=job.label)
    # Several runs with several workers each would take the CPUs from one another.
    if job.shares_cpus and scenario.training.workers == "auto":
        scenario = replace(scenario, training=replace(scenario.training, workers=1))
    if job.memory_bytes:
        options = scenario.training.memory
        options = replace(options, limit=min(job.memory_bytes, options.limit or job.memory_bytes))
        # It sees one GPU, which has no other number then.
        scenario = replace(scenario, training=replace(scenario.training, memory=options, device="cuda"))
    journal = None if job.disk is None or job.disk.blind() else job.disk.journal
    results = simulate(scenario, observer=_observer(job), journal=journal, until=job.until or None)
    # The number of workers changes no result, and the run is known by the scenario as it was planned.
    return results.changed(scenario_yaml=job.scenario_yaml)


def _with_origin(results: Results) -> Results:
    """Notes where the run was made, while still there."""
    from gapslsim.results.provenance import provenance

    of_run = results.summary
    made = provenance(
        seed=of_run["seed"], wall_time_s=of_run["wall_time_s"] or 0.0, computed_on=of_run["computed_on"]
    )
    return results.changed(provenance={"run": results.label, **made})


def _observer(job: Job) -> Callable[[Progress], None] | None:
    noting = _noting(job.note)
    if noting is None or not job.says_rounds:
        return noting
    observers = noting, saying(job.note)

    def observe(progress: Progress) -> None:
        for tell in observers:
            tell(progress)

    return observe


def _noting(note: str) -> Callable[[Progress], None] | None:
    """An observer that writes the share done into a file now and then; a place that cannot be written is let be."""
    if not note or not Path(note).parent.is_dir():
        return None
    written_at = -_EVERY_S

    def observe(progress: Progress) -> None:
        nonlocal written_at
        now = time.monotonic()
        if progress.fraction is None or now - written_at < _EVERY_S:
            return
        written_at = now
        try:
            Path(note).write_text(f"{progress.fraction:.6f}", encoding="ascii")
        except OSError:
            # A folder that is gone stays gone; progress is not worth an error per round.
            written_at = float("inf")

    return observe
