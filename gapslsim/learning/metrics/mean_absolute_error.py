"""Mean absolute error of numbers."""

from __future__ import annotations

from typing import ClassVar, Literal

from gapslsim.data.target import Target
from gapslsim.learning.metric import Judged, Metric, metrics
from gapslsim.registry import component

__all__ = ["MeanAbsoluteError"]


@metrics.register
@component
class MeanAbsoluteError(Metric):
    """Mean of |said - right| over samples, and over the numbers of each, in their unit; scikit-learn's."""

    judges: ClassVar[tuple[Target, ...]] = ("numbers",)
    kind: Literal["mean_absolute_error"] = "mean_absolute_error"

    @property
    def greater_is_better(self) -> bool:
        """0 is the best."""
        return False

    def value(self, judged: Judged) -> float:
        """0 or more."""
        from sklearn.metrics import mean_absolute_error

        return float(mean_absolute_error(judged.labels, judged.predicted, sample_weight=judged.weights))
