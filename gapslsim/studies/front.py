"""Studies for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import sleep
from typing import Final

from gapslsim.errors import ResultsError
from gapslsim.results.study_tables import StudyTables, read_tables
from gapslsim.studies.axes import slug
from gapslsim.studies.backend import make_backend
from gapslsim.studies.cut import Shard
from gapslsim.studies.lock import BusyError
from gapslsim.studies.plan import Plan, load_study
from gapslsim.studies.shards import GATHER_LOCK, sweep_shard
from gapslsim.studies.shards import gather as gather_shards
from gapslsim.studies.sweep import Observer
from gapslsim.studies.sweep import sweep as sweep_plan
from gapslsim.studies.tracked import Tracked
from gapslsim.tracking.tracker import Tracker

__all__ = ["sweep"]

_LOOK_S: Final = 0.2


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
    shard: str | None = None,
    gather: bool = False,
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
        track: trackers that are told of each run as it goes on.
        shard: `2/4`: this part of four only, beside the others in the same directory; called again, it goes on.
        gather: runs nothing and puts together what the shards have left.

    Returns:
        Its tables: `table("runs")` is a DataFrame, `record` says how every run ended. With shards, of all that is
        finished by now; what is not is `planned`.

    Raises:
        GapslsimError: if the study is not sound, or something else lies in the directory.
    """
    plan = load_study(str(study))
    target = Path(out) if out is not None else Path("studies") / slug(plan.study.name)
    if gather and (shard or resume or track):
        raise ResultsError("gather runs nothing; leave out shard, resume and track")
    if gather:
        gather_shards(plan, target)
        return read_tables(target)
    part = Shard.parse(shard) if shard is not None else None
    tracked = Tracked(track, plan.study.name, target)
    chosen, kept = make_backend(backend, n_jobs=jobs), None if journal is None else Path(journal)
    on_round = tracked.under_way if track else None
    if part is not None:
        ended = sweep_shard(
            plan, target, chosen, part, journal=kept, observer=observer, on_result=tracked, on_round=on_round
        )
        tracked.end(ended)
        _gather_in_turn(plan, target)
    else:
        record = sweep_plan(
            plan, target, chosen, resume=resume, observer=observer, journal=kept, on_result=tracked,
            on_round=on_round,
        )  # fmt: skip
        tracked.end(record.runs)
    return read_tables(target)


def _gather_in_turn(plan: Plan, out: Path) -> None:
    """Shards that end together gather one after the other."""
    while True:
        try:
            gather_shards(plan, out)
        except BusyError as busy:
            if busy.file.name != GATHER_LOCK:
                raise
            sleep(_LOOK_S)
        else:
            return
