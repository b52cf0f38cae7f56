"""Expected calibration error: how far confidence and accuracy lie apart."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.bounds import Bins
from gapslsim.learning.metric import Judged, Metric, metrics
from gapslsim.registry import component

__all__ = ["CalibrationError"]


@metrics.register
@component
class CalibrationError(Metric):
    """Expected calibration error, Eq. (3) of Guo et al. 2017 (arXiv:1706.04599).

    Samples are put into bins ((m - 1) / M, m / M] of the likeliest class's probability; the distance between accuracy
    and mean probability of each bin is weighted by its samples.
    """

    kind: Literal["calibration_error"] = "calibration_error"
    bins: Bins = 15
    """M."""

    @property
    def greater_is_better(self) -> bool:
        """0 is the best."""
        return False

    def value(self, judged: Judged) -> float:
        """In [0, 1]."""
        confidence = judged.probabilities.max(1)
        place = np.digitize(confidence, np.linspace(0, 1, self.bins + 1)[1:-1], right=True)
        gap = (judged.predicted == judged.labels) - confidence
        of_bin = np.bincount(place, weights=judged.weights * gap)
        return float(np.abs(of_bin).sum() / judged.weights.sum())
