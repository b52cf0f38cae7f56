"""What a whole run takes."""

from __future__ import annotations

from typing import Literal

from gapslsim.registry import component
from gapslsim.results._spent import SPENT, spent_by
from gapslsim.results.measure import SpendingMeasure, Value, measures
from gapslsim.results.study_tables import StudyRun

__all__ = ["Total"]


@measures.register
@component
class Total(SpendingMeasure):
    """Time, energy, bytes, rounds or epochs of a whole run."""

    kind: Literal["total"] = "total"

    @property
    def name(self) -> str:
        """What is counted, and until when."""
        return SPENT[self.spent].name

    def of_run(self, run: StudyRun, view: str) -> Value:
        """What was spent by the end of the last round."""
        ends = run.rounds[["round", "end_s"]].rename(columns={"end_s": "time_s"}).tail(1)
        spent = spent_by(ends, run.rounds, self.spent)
        return Value(float(spent.iloc[-1]) if len(spent) else 0.0)
