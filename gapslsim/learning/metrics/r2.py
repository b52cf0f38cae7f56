"""R2, the coefficient of determination of numbers."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from gapslsim.data.target import Target
from gapslsim.learning.metric import Judged, Metric, metrics
from gapslsim.registry import component

__all__ = ["R2"]


@metrics.register
@component
class R2(Metric):
    """1 - squared error / squared distance from the mean, scikit-learn's; of several numbers the mean of each."""

    judges: ClassVar[tuple[Target, ...]] = ("numbers",)
    kind: Literal["r2"] = "r2"

    def value(self, judged: Judged) -> float:
        """1 or less, 0 for a model that says the mean of all; NaN for one sample."""
        from sklearn.metrics import r2_score

        if len(judged.labels) < 2:
            return math.nan
        return float(r2_score(judged.labels, judged.predicted, sample_weight=judged.weights))
