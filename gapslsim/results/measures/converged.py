"""What it takes to converge."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from gapslsim.registry import component
from gapslsim.results._spent import SPENT, Spent, spent_by
from gapslsim.results.measure import SpendingMeasure, Value, measures
from gapslsim.results.study_tables import StudyRun

__all__ = ["Converged"]


def _converged_at(accuracy: pd.Series, within: float, rule: Literal["first", "stays"]) -> int:
    """Place of the evaluation at which a run has converged.

    Args:
        accuracy: of every evaluation, in order.
        within: how far below the best accuracy of the run it may lie, as a share (0.01 is one point).
        rule: `first`, the first evaluation so near to the best; `stays`, the first from which on all are so near.
    """
    # Differences such as 0.58 - 0.57 may exceed 0.01 by rounding alone.
    near = (accuracy >= accuracy.max() - within - 1e-12).to_numpy()
    if rule == "first":
        return int(np.argmax(near))
    far = np.flatnonzero(~near)
    return int(far[-1]) + 1 if len(far) else 0


@measures.register
@component
class Converged(SpendingMeasure):
    """Epochs, time, bytes or energy to converge, by the run's own best accuracy.

    Table I of [lin2026gapsl] gives "epochs to converge" and does not define it. Here a run has converged at the first
    evaluation whose accuracy lies within some points of the best that the run ever has. If that is the last
    evaluation, nothing tells that the accuracy would not have risen further: the number is then a lower bound, and so
    it is with `rule: stays` where the run ends further below its best. The number depends on how often a run is
    evaluated and on how long it is.
    """

    kind: Literal["converged"] = "converged"
    within: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """How far below the run's best accuracy, as a share: 0.01 is one percentage point."""
    rule: Literal["first", "stays"] = "first"
    """The first evaluation so near to the best, or the first from which on all are."""
    spent: Spent = "epochs"
    """What is counted until then."""

    @property
    def name(self) -> str:
        """What is counted, and until when."""
        return f"{SPENT[self.spent].name} to converge"

    def of_run(self, run: StudyRun, view: str) -> Value:
        """What was spent by then."""
        curve = run.curve(view)
        last = len(curve) - 1
        place = _converged_at(curve["accuracy"], self.within, self.rule)
        spent = spent_by(curve, run.rounds, self.spent)
        before = float(spent.iloc[place - 1]) if 0 < place < last else None
        return Value(float(spent.iloc[min(place, last)]), place < last, before)
