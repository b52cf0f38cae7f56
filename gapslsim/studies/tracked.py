"""Tells trackers of each run of a study that completes, and of those that they have not heard of yet."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gapslsim.errors import ResultsError
from gapslsim.results.outputs import write_text
from gapslsim.results.place import PROVENANCE, read_loosely
from gapslsim.results.results import Results
from gapslsim.results.store import load_results
from gapslsim.results.study import RUNS, RunRecord
from gapslsim.tracking.following import follow_finished
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
        self._told = set[str]()

    def __call__(self, record: RunRecord, results: Results) -> None:
        """Tells of a run that has just completed."""
        if self._lines:
            self._told.add(record.label)
            self._tell(record, results, self._lines)

    def end(self, records: Sequence[RunRecord]) -> None:
        """Tells of completed runs that a tracker has not heard of, and waits until all is told; says how that went."""
        done = [record for record in records if record.status == "completed"]
        for record in (record for record in done if record.label not in self._told):
            with suppress(ResultsError):
                unheard = [line for line in self._lines if not self._has_heard(line.tracker, record)]
                if unheard:
                    self._tell(record, load_results(self._out / RUNS / record.label), unheard)
        for line in self._lines:
            line.wait()
            n = sum(self._has_heard(line.tracker, record) for record in done)
            sys.stderr.write(f"{line.tracker.kind} has heard of {n} of {len(done)} completed runs.\n")

    def _tell(self, record: RunRecord, results: Results, lines: Sequence[Line]) -> None:
        def whole(tracker: Tracker) -> None:
            folder = self._out / RUNS / record.label
            heard = {**read_loosely(folder / _MARK), _name(tracker): results.provenance.get("started")}
            write_text(folder / _MARK, json.dumps(heard, indent=1) + "\n")

        follow_finished(lines, results, record.label, self._study, record.axes, whole)

    def _has_heard(self, tracker: Tracker, record: RunRecord) -> bool:
        """Of this very run, not of one that lay here before."""
        folder = self._out / RUNS / record.label
        heard = read_loosely(folder / _MARK).get(_name(tracker), "")
        made = read_loosely(folder / PROVENANCE)
        return bool(made) and bool(heard == made.get("started"))


def _name(tracker: Tracker) -> str:
    return f"{tracker.kind}={tracker.where}"
