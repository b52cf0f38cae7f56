"""Studies for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gapslsim.results.study_tables import StudyTables, read_tables
from gapslsim.studies.axes import slug
from gapslsim.studies.backend import make_backend
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import Observer
from gapslsim.studies.sweep import sweep as sweep_plan
from gapslsim.studies.tracked import Tracked
from gapslsim.tracking.tracker import Tracker

__all__ = ["sweep"]


def sweep(
    study: str | Path,
    out: str | Path | None = None,
    *,
    jobs: int | None = None,
    backend: str = "local",
    resume: bool = False,
    journal: str | Path | None = None,
    observer: Observer | None = None,
    track: Sequence[Tracker] = (),
) -> StudyTables:
    """Runs a study, as `gapslsim sweep` does. In a script, call it below `if __name__ == "__main__":`.

    Args:
        study: a study file, or a shipped one's name.
        out: its directory; `studies/NAME` unless given.
        jobs: runs at a time; one per core unless given.
        backend: local, ray or dask.
        resume: go on with the study that lies there.
        journal: folder of the journal, to share training with other studies.
        observer: told now and then how far it is, a `SweepProgress`; may be called from another thread.
        track: trackers that are told of each run that completes.

    Returns:
        Its tables: `table("runs")` is a DataFrame, `record` says how every run ended.

    Raises:
        GapslsimError: if the study is not sound, or something else lies in the directory.
    """
    plan = load_study(str(study))
    target = Path(out) if out is not None else Path("studies") / slug(plan.study.name)
    tracked = Tracked(track, plan.study.name, target)
    record = sweep_plan(
        plan, target, make_backend(backend, n_jobs=jobs), resume=resume, observer=observer,
        journal=None if journal is None else Path(journal), on_result=tracked,
    )  # fmt: skip
    tracked.end(record.runs)
    return read_tables(target)
