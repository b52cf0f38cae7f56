"""Test accuracy."""

from __future__ import annotations

import math
from typing import Literal

from gapslsim.registry import component
from gapslsim.results._spent import Unit
from gapslsim.results.measure import Measure, Value, measures
from gapslsim.results.study_tables import StudyRun

__all__ = ["Accuracy"]


@measures.register
@component
class Accuracy(Measure):
    """Test accuracy of a run: at its last evaluation, or the best of all."""

    kind: Literal["accuracy"] = "accuracy"
    at: Literal["last", "best"] = "last"
    """Which evaluation."""

    @property
    def name(self) -> str:
        """Which accuracy."""
        return "accuracy" if self.at == "last" else "best accuracy"

    @property
    def unit(self) -> Unit:
        """A share, shown in percent."""
        return Unit("1", "%", 100.0)

    def of_run(self, run: StudyRun, view: str) -> Value:
        """The share of right answers."""
        accuracy = run.curve(view)["accuracy"]
        return Value(float(accuracy.iloc[-1] if self.at == "last" else accuracy.max()))

    def of_stopped(self, run: StudyRun, view: str) -> Value:
        """The best so far is a lower bound of the best; the last so far says nothing of the last."""
        return Value(self.of_run(run, view).number if self.at == "best" else math.nan, reached=False)
