"""Tells trackers of each run of a study as it goes on, and at last of those that they have not heard of yet."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gapslsim.errors import ResultsError
from gapslsim.records import Progress
from gapslsim.results.outputs import write_text
from gapslsim.results.place import PROVENANCE, read_loosely
from gapslsim.results.results import Results
from gapslsim.results.store import load_results
from gapslsim.results.study import RUNS, RunRecord
from gapslsim.studies.plan import PlannedRun
from gapslsim.tracking.following import Following
from gapslsim.tracking.line import Line
from gapslsim.tracking.tracker import Tracker

__all__ = ["Tracked"]

_MARK: Final = "tracked.json"
"""In a run directory: who has heard of the run, and when that was begun."""


class Tracked:
    """What trackers have heard of a study.

    Args:
        trackers: that are told.
        study: its name.
        out: its directory.
    """

    def __init__(self, trackers: Sequence[Tracker], study: str, out: Path) -> None:
        self._lines = [Line(tracker) for tracker in trackers]
        self._study, self._out = study, out
        self._followed: dict[str, Following] = {}
        """By label; those that go on, or may."""
        self._started: dict[str, str | None] = {}
        """When the run that is told was begun, by label."""
        self._told = set[str]()

    def under_way(self, run: PlannedRun, progress: Progress) -> None:
        """Tells of a round of a run that goes on; one that is carried out again, further, is the same to trackers."""
        if self._lines:
            label = run.record.label
            if label not in self._followed:
                self._begin(run.record, run.yaml, self._lines)
            self._followed[label](progress)

    def __call__(self, record: RunRecord, results: Results) -> None:
        """Tells of a run that has just completed."""
        if self._lines:
            self._finish(record, results, self._lines)

    def end(self, records: Sequence[RunRecord]) -> None:
        """Tells of runs that a tracker has not heard of, waits until all is told, and says how that went.

        Runs that a scheduler stopped are among them, with what lies of them.
        """
        done = [record for record in records if record.has_ended]
        for record in (record for record in done if record.label not in self._told):
            with suppress(ResultsError):
                unheard = [line for line in self._lines if not self._has_heard(line.tracker, record)]
                if unheard:
                    self._finish(record, load_results(self._out / RUNS / record.label), unheard)
        for following in self._followed.values():  # What failed, or was never begun again.
            following.end(None)
        self._followed.clear()
        for line in self._lines:
            line.wait()
            told = ", ".join(self._counts(line.tracker, done))
            sys.stderr.write(f"{line.tracker.kind} has heard of {told}.\n")

    def _counts(self, tracker: Tracker, done: Iterable[RunRecord]) -> Iterable[str]:
        kinds: Mapping[str, list[RunRecord]] = {"completed": [], "stopped": []}
        for record in done:
            if not record.status.startswith("spared"):
                kinds["completed" if record.status == "completed" else "stopped"].append(record)
        for kind, ended in kinds.items():
            if ended or kind == "completed":
                yield f"{sum(self._has_heard(tracker, one) for one in ended)} of {len(ended)} {kind} runs"

    def _begin(self, record: RunRecord, scenario_yaml: str, lines: Sequence[Line]) -> None:
        def whole(tracker: Tracker) -> None:
            folder = self._out / RUNS / record.label
            heard = {**read_loosely(folder / _MARK), _name(tracker): self._started[record.label]}
            write_text(folder / _MARK, json.dumps(heard, indent=1) + "\n")

        self._followed[record.label] = Following(
            lines, record.label, self._study, scenario_yaml, record.axes, whole
        )

    def _finish(self, record: RunRecord, results: Results, lines: Sequence[Line]) -> None:
        self._told.add(record.label)
        self._started[record.label] = results.provenance.get("started")
        if record.label not in self._followed:
            self._begin(record, results.scenario_yaml, lines)
        following = self._followed.pop(record.label)
        following.catch_up(results)
        following.end(results)

    def _has_heard(self, tracker: Tracker, record: RunRecord) -> bool:
        """Of this very run, not of one that lay here before."""
        folder = self._out / RUNS / record.label
        heard = read_loosely(folder / _MARK).get(_name(tracker), "")
        made = read_loosely(folder / PROVENANCE)
        return bool(made) and bool(heard == made.get("started"))


def _name(tracker: Tracker) -> str:
    return f"{tracker.kind}={tracker.where}"
