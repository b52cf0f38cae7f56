"""Tells trackers of each run of a study that completes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gapslsim.results.results import Results
from gapslsim.results.study import RunRecord
from gapslsim.tracking.following import follow_finished
from gapslsim.tracking.tracker import Tracker

__all__ = ["tracked"]


def tracked(trackers: Sequence[Tracker], study: str) -> Callable[[RunRecord, Results], None] | None:
    """What `sweep` calls with each run that completes; None without trackers."""
    if not trackers:
        return None
    return lambda record, results: follow_finished(trackers, results, record.label, study, record.axes)
