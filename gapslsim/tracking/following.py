"""Tells trackers of a run. One that fails is told of once and left out; the run goes on as if it were not there."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gapslsim.documents import yaml_data
from gapslsim.records import Progress
from gapslsim.results.results import Results
from gapslsim.results.summary import accuracy_curve
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker

__all__ = ["Following", "flat", "follow_finished"]


class Following:
    """Follows one run; the observer of `simulate`.

    Args:
        trackers: that are told.
        name: of the run.
        group: of its scenario or study.
        scenario_yaml: the resolved scenario.
        more: further settings.
    """

    def __init__(
        self, trackers: Iterable[Tracker], name: str, group: str, scenario_yaml: str,
        more: Mapping[str, str | float] | None = None,
    ) -> None:  # fmt: skip
        settings = {**flat(yaml_data(scenario_yaml)), **(more or {})}
        run = TrackedRun(name, group, settings, scenario_yaml)
        self._logs: dict[Tracker, RunLog] = {}
        self._accuracy: dict[str, float] = {}
        for tracker in trackers:
            self._try(tracker, lambda tracker: self._logs.update({tracker: tracker.begin(run)}))

    def __call__(self, progress: Progress) -> None:
        """Observes a round; accuracies are noted when they are new."""
        new = {view: value for view, value in progress.accuracy.items() if self._accuracy.get(view) != value}
        self._accuracy = dict(progress.accuracy)
        self.numbers(
            progress.round,
            {
                "simulated_time_s": progress.simulated_time_s,
                "epoch": progress.epoch,
                "loss": progress.loss,
                **{f"accuracy/{view}": value for view, value in new.items()},
            },
        )

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Notes what is finite of some numbers of a round."""
        known = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._tell(lambda log: log.numbers(step, known))

    def end(self, results: Results | None) -> None:
        """Ends the run."""
        summary = {} if results is None else results.summary
        numbers = {name: value for name, value in flat(summary).items() if isinstance(value, float)}
        self._tell(lambda log: log.end(summary, numbers))

    def _tell(self, act: Callable[[RunLog], None]) -> None:
        for tracker in list(self._logs):
            self._try(tracker, lambda tracker: act(self._logs[tracker]))

    def _try(self, tracker: Tracker, act: Callable[[Tracker], None]) -> None:
        try:
            act(tracker)
        except Exception as error:  # Whatever breaks in a tracker is its own affair.
            self._logs.pop(tracker, None)
            said = str(error).partition("\n")[0]
            sys.stderr.write(
                f"{tracker.kind} does not follow the run any more ({type(error).__name__}: {said}).\n"
            )


def flat(settings: Any) -> dict[str, str | float]:
    """Plain values by dotted path; numbers stay numbers, all else is text."""
    (found,) = pd.json_normalize(settings).to_dict("records") or [{}]
    # A bool is an int in Python, and no number here.
    return {
        str(name): float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else str(value)
        for name, value in found.items()
        if value is not None
    }


def follow_finished(
    trackers: Sequence[Tracker], results: Results, name: str, group: str, axes: Mapping[str, str]
) -> None:
    """Tells trackers of a run that was carried out elsewhere, from its tables."""
    followed = Following(trackers, name, group, results.scenario_yaml, axes)
    evaluated: dict[int, dict[str, float]] = {}
    for view in results.evaluations["view"].unique():
        for row in accuracy_curve(results.evaluations, view).itertuples(index=False):
            evaluated.setdefault(int(row.round), {})[f"accuracy/{view}"] = float(row.accuracy)
    if 0 in evaluated:
        followed.numbers(0, evaluated[0])
    for row in results.rounds.itertuples(index=False):
        of_round = {"simulated_time_s": row.end_s, "epoch": row.epoch, "loss": row.loss}
        followed.numbers(int(row.round), {**of_round, **evaluated.get(int(row.round), {})})
    followed.end(results)
