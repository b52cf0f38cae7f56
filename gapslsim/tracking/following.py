"""Tells trackers of a run. One that fails is told of once and left out; the run goes on as if it were not there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gapslsim.documents import yaml_data
from gapslsim.records import Progress
from gapslsim.results.results import Results
from gapslsim.results.summary import accuracy_curve
from gapslsim.tracking.line import Line
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker

__all__ = ["Following", "flat", "follow_finished"]


class Following:
    """Follows one run; the observer of `simulate`.

    Args:
        lines: to the trackers that are told.
        name: of the run.
        group: of its scenario or study.
        scenario_yaml: the resolved scenario.
        more: further settings.
        whole: called for each tracker that has taken all of the run.
    """

    def __init__(
        self, lines: Iterable[Line], name: str, group: str, scenario_yaml: str,
        more: Mapping[str, str | float] | None = None, whole: Callable[[Tracker], None] = lambda tracker: None,
    ) -> None:  # fmt: skip
        settings = {**flat(yaml_data(scenario_yaml)), **(more or {})}
        self._run = run = TrackedRun(name, group, settings, scenario_yaml)
        self._whole = whole
        self._accuracy: dict[str, float] = {}
        self._last = -1
        """Of the rounds that it has heard of."""
        self._logs: dict[Line, RunLog] = {}
        self._lines = list(lines)
        for line in list(self._lines):
            self._put(line, lambda line: self._logs.update({line: line.tracker.begin(run)}))

    def __call__(self, progress: Progress) -> None:
        """Observes a round; accuracies are noted when they are new. One that it has heard of is passed over."""
        if progress.round <= self._last:
            return
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
        self._last = step
        known = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._tell(lambda log: log.numbers(step, known))

    def catch_up(self, results: Results) -> None:
        """Notes the rounds that it has not heard of, from their tables."""
        evaluated: dict[int, dict[str, float]] = {}
        for view in results.evaluations["view"].unique():
            for row in accuracy_curve(results.evaluations, view).itertuples(index=False):
                evaluated.setdefault(int(row.round), {})[f"accuracy/{view}"] = float(row.accuracy)
        if self._last < 0 and 0 in evaluated:
            self.numbers(0, evaluated[0])
        for row in results.rounds.itertuples(index=False):
            if row.round > self._last:
                of_round = {"simulated_time_s": row.end_s, "epoch": row.epoch, "loss": row.loss}
                self.numbers(int(row.round), {**of_round, **evaluated.get(int(row.round), {})})

    def end(self, results: Results | None) -> None:
        """Ends the run."""
        summary = {} if results is None else results.summary
        numbers = {name: value for name, value in flat(summary).items() if isinstance(value, float)}

        def last(line: Line) -> None:
            self._logs.pop(line).end(summary, numbers)
            line.took()
            if results is not None:
                self._whole(line.tracker)

        for line in list(self._lines):
            self._put(line, last)

    def _tell(self, act: Callable[[RunLog], None]) -> None:
        for line in list(self._lines):
            self._put(line, lambda line: act(self._logs[line]))

    def _put(self, line: Line, act: Callable[[Line], None]) -> None:
        def call() -> None:
            if line not in self._lines:
                return  # it has failed before
            try:
                act(line)
            except BaseException as error:  # Whatever breaks in a tracker is its own affair.
                self._lines.remove(line)
                line.failed(self._run.name, error)

        line.put(call)


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
    lines: Sequence[Line], results: Results, name: str, group: str, axes: Mapping[str, str],
    whole: Callable[[Tracker], None] = lambda tracker: None,
) -> None:  # fmt: skip
    """Tells trackers of a run that was carried out elsewhere, from its tables."""
    followed = Following(lines, name, group, results.scenario_yaml, axes, whole)
    followed.catch_up(results)
    followed.end(results)
