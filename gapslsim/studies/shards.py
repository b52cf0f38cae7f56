"""One study in several sweeps of their own, on any machines that see one directory: shards, and what gathers them.

The first shard cuts the study and writes the cut down, so that all go by the same one. A shard needs nothing of the
others but the directory: each holds a lock of its own, keeps its own list of how runs ended, and may be killed and
begun again at any time.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from gapslsim.errors import ResultsError
from gapslsim.locks import Holder
from gapslsim.records import Progress
from gapslsim.results.outputs import write_text
from gapslsim.results.place import read_loosely
from gapslsim.results.study import RunRecord, StudyRecord, write_study
from gapslsim.studies._runs import Observer, carry_out_all, done_and_to_do
from gapslsim.studies._tables import write_tables
from gapslsim.studies.backend import Backend
from gapslsim.studies.cut import Shard, cut
from gapslsim.studies.lock import LOCK, BusyError, held, holder_of
from gapslsim.studies.plan import Plan, PlannedRun
from gapslsim.studies.sweep import check_place

__all__ = ["Gathered", "Missing", "gather", "sweep_shard"]

FOLDER: Final = "shards"
_CUT: Final = "cut.json"
_CUTTING: Final = f"{LOCK}-cut"
GATHER_LOCK: Final = "gather.lock"
_LOOK_S: Final = 0.2
_A_MOMENT_S: Final = 3.0
"""Longer than who cuts a study holds it once the cut is there."""


def sweep_shard(
    plan: Plan,
    out: Path,
    backend: Backend,
    shard: Shard,
    *,
    journal: Path | None = None,
    observer: Observer | None = None,
    on_result: Callable[[RunRecord, Any], None] | None = None,
    on_round: Callable[[PlannedRun, Progress], None] | None = None,
) -> list[RunRecord]:
    """Runs one shard of a study, or goes on with it; writes no tables, see `gather`.

    Args:
        plan: from `load_study`; the same for all shards.
        out: the study's directory, which all shards share.
        backend: where to run.
        shard: which of how many.
        journal: folder of the journal, `out/journal` by default.
        observer: told now and then how far the shard is; may be called from another thread.
        on_result: called with the record and the results of each run that completes.
        on_round: called with each run under way and how far it is; see `carry_out_all`.

    Returns:
        How each of its runs ended.

    Raises:
        ResultsError: if the directory holds something else, was cut into another number of shards or for another
            version of the study, or this shard or a whole sweep is at work there.
    """
    if plan.study.search is not None and plan.study.search.learns:
        raise ResultsError(
            f"{plan.study.name}: the search {plan.study.search.kind!r} learns from all runs so far, so that it "
            "cannot be cut; run it without --shard, or take 'sobol'"
        )
    if plan.study.adaptive is not None:
        raise ResultsError(
            f"{plan.study.name}: an adaptive study decides by all of its runs, so that it cannot be cut; run it "
            "without --shard, or without the section 'adaptive'"
        )
    with backend, _joined(plan, out, shard) as (mine, told):
        own = dataclasses.replace(plan, runs=tuple(run for run in plan.possible if run.record.label in mine))
        records = _records(own)
        done, to_do = done_and_to_do(own, out)
        for run in done:
            records[run.record.label] = dataclasses.replace(run.record, status="completed")

        def save() -> None:
            ended = {label: one.status for label, one in records.items() if one.status != "planned"}
            write_text(_statuses(out, shard.index), json.dumps(ended, indent=1, ensure_ascii=False) + "\n")

        carry_out_all(
            records, done, to_do, out, backend, save, journal=journal, observer=observer, on_result=on_result,
            on_round=on_round, told=told, name=f"-{shard.index}",
        )  # fmt: skip
    return list(records.values())


@dataclass(frozen=True)
class Missing:
    """What a shard has not done yet."""

    shard: Shard
    labels: list[str]
    at_work: Holder | None
    """Who is at it now; None if nobody is."""


@dataclass(frozen=True)
class Gathered:
    """A study put together from its shards."""

    record: StudyRecord
    missing: list[Missing]


def gather(plan: Plan, out: Path) -> Gathered:
    """Puts together what the shards of a study have left: its record and its tables, as a single sweep writes them.

    What is missing is told and listed in the tables as planned; shards may be at work meanwhile.

    Raises:
        ResultsError: if no shards lie there, or those of another version of the study.
    """
    found = _cut_in(out)
    if found is None:
        raise ResultsError(
            f"{out} holds no shards; run some first, from --shard 1/N to --shard N/N with this --out"
        )
    _check_same(plan, out, found)
    number = len(found["shards"])
    with held(out, shared=True), held(out / FOLDER, GATHER_LOCK, who="another --gather"):
        statuses: dict[str, str] = {}
        for index in range(1, number + 1):
            statuses |= read_loosely(_statuses(out, index))
        records = {
            # What lies there decides; a shard's list only says how its runs failed.
            label: dataclasses.replace(record, status=statuses[label])
            if str(statuses.get(label, "")).startswith("failed")
            else record
            for label, record in _records(plan).items()
        }
        for run in done_and_to_do(plan, out)[0]:
            records[run.record.label] = dataclasses.replace(run.record, status="completed")
        record = dataclasses.replace(plan.record, runs=[records[run.record.label] for run in plan.runs])
        write_study(record, out)
        write_tables(record, out)
    missing = []
    for index, labels in enumerate(found["shards"], 1):
        if left := [label for label in labels if records[label].status == "planned"]:
            holder, is_at_work = holder_of(out / FOLDER / _lock(index))
            missing.append(Missing(Shard(index, number), left, holder if is_at_work else None))
    return Gathered(record, missing)


@contextmanager
def _joined(plan: Plan, out: Path, shard: Shard) -> Iterator[tuple[set[str], str]]:
    """Cuts the study unless that was done, then holds the shard; gives the labels of its runs, and what to say."""
    while (found := _cut_in(out)) is None:
        try:
            with held(out, _CUTTING):
                if _cut_in(out) is None:
                    check_place(plan, out, resume=True)
                    with held(out):
                        _cut(plan, out, shard.number)
        except BusyError as busy:
            if busy.file.name != _CUTTING:
                raise
            sleep(_LOOK_S)  # shards that begin together wait for the one that cuts
    _check_same(plan, out, found)
    if len(found["shards"]) != shard.number:
        n = len(found["shards"])
        raise ResultsError(
            f"{out} is cut into {n} shards, and this is {shard}; go on with --shard 1/{n} to {n}/{n}. To cut it anew "
            f"end all shards and delete {out / FOLDER}: what is finished is kept"
        )
    with ExitStack() as stack:
        until_s = monotonic() + _A_MOMENT_S
        while True:
            try:
                hold = stack.enter_context(held(out, shared=True))
                break
            except BusyError:
                # Who cuts lets go a moment after the cut can be read; another sweep does not.
                if monotonic() > until_s:
                    raise
                sleep(_LOOK_S)
        stack.enter_context(held(out / FOLDER, _lock(shard.index), who=f"shard {shard}"))
        yield set(found["shards"][shard.index - 1]), f"{out}: {hold.how}." if hold.how else ""


def _cut(plan: Plan, out: Path, number: int) -> None:
    parts = cut(plan.possible, number)
    about = {"runs": _identities(plan), "shares": [part.share for part in parts]}
    text = json.dumps({**about, "shards": [part.labels for part in parts]}, indent=1)
    write_study(plan.record, out)
    (out / FOLDER).mkdir(exist_ok=True)
    write_text(out / "study.yaml", plan.record.study_yaml)
    # Last: what is there is whole.
    write_text(out / FOLDER / _CUT, text + "\n")


def _check_same(plan: Plan, out: Path, found: dict[str, Any]) -> None:
    now, then = _identities(plan), found["runs"]
    changed = [label for label in now | then if now.get(label) != then.get(label)]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ResultsError(
            f"{out} was cut into shards for another version of this study: {', '.join(changed[:3])}{more} differ. "
            "Put the study back (study file, base, --set), give another directory with --out, or end all shards and "
            f"delete {out / FOLDER} to cut it anew"
        )


def _identities(plan: Plan) -> dict[str, str]:
    return {run.record.label: run.record.scenario_sha256 for run in plan.possible}


def _records(plan: Plan) -> dict[str, RunRecord]:
    return {run.record.label: run.record for run in plan.runs}


def _cut_in(out: Path) -> dict[str, Any] | None:
    """What the first shard wrote down; None if there was none."""
    file = out / FOLDER / _CUT
    if not file.exists():
        return None
    found = read_loosely(file)
    try:
        labels = [label for own in found["shards"] for label in own]
        is_sound = all(isinstance(label, str) for label in labels) and sorted(labels) == sorted(found["runs"])
    except (KeyError, TypeError, AttributeError):
        is_sound = False
    if not is_sound:
        raise ResultsError(
            f"{file} is damaged; end all shards and delete {out / FOLDER}: what is finished is kept"
        )
    return found


def _statuses(out: Path, index: int) -> Path:
    return out / FOLDER / f"{index}.json"


def _lock(index: int) -> str:
    return f"{index}.lock"
