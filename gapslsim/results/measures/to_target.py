"""What it takes to reach an accuracy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.registry import component
from gapslsim.results._spent import SPENT, spent_by
from gapslsim.results.measure import SpendingMeasure, Value, measures
from gapslsim.results.study_tables import StudyRun

__all__ = ["ToTarget"]


@measures.register
@component
class ToTarget(SpendingMeasure):
    """Time, energy, bytes, rounds or epochs to the first evaluation at or above an accuracy.

    A run that never gets there gives all that it spent, as a lower bound.
    """

    kind: Literal["to_target"] = "to_target"
    target: Annotated[float, Field(gt=0, le=1)]
    """The accuracy as a share."""

    @property
    def name(self) -> str:
        """What is counted, and until when."""
        return f"{SPENT[self.spent].name} to {100 * self.target:.4g} %"

    def of_run(self, run: StudyRun, view: str) -> Value:
        """What was spent by then."""
        curve = run.curve(view)
        spent = spent_by(curve, run.rounds, self.spent)
        there = spent[(curve["accuracy"] >= self.target).to_numpy()]
        return Value(float(there.iloc[0])) if len(there) else Value(float(spent.iloc[-1]), reached=False)
