"""What it takes to reach an accuracy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.registry import component
from gapslsim.results._spent import SPENT, spent_by
from gapslsim.results.crossing import crossing
from gapslsim.results.measure import SpendingMeasure, Value, measures
from gapslsim.results.study_tables import StudyRun

__all__ = ["ToTarget"]


@measures.register
@component
class ToTarget(SpendingMeasure):
    """Time, energy, bytes, rounds or epochs to the first evaluation at or above an accuracy.

    What is spent lies between that and the evaluation before, and is told so: `4.1 .. 4.7`. A run that never gets there
    gives all that it spent, as a lower bound.
    """

    kind: Literal["to_target"] = "to_target"
    target: Annotated[float, Field(gt=0, le=1)]
    """The accuracy as a share."""
    interpolate: bool = False
    """Whether one number is given, where a straight line between the two evaluations comes to the accuracy."""

    @property
    def name(self) -> str:
        """What is counted, and until when."""
        how = ", interpolated" if self.interpolate else ""
        return f"{SPENT[self.spent].name} to {100 * self.target:.4g} %{how}"

    def of_run(self, run: StudyRun, view: str) -> Value:
        """What was spent by then."""
        curve = run.curve(view)
        spent = spent_by(curve, run.rounds, self.spent)
        found = crossing(spent.tolist(), curve["accuracy"].tolist(), self.target)
        if found is None:
            return Value(float(spent.iloc[-1]), reached=False)
        return Value(found.interpolated) if self.interpolate else Value(found.by, after=found.after)

    def of_stopped(self, run: StudyRun, view: str) -> Value:
        """What it reached it has reached; else a lower bound, as of any run that ended before."""
        return self.of_run(run, view)
