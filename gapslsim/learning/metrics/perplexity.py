"""Perplexity: the exponential of the mean cross-entropy."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.learning.metric import Judged, Metric, metrics
from gapslsim.registry import component

__all__ = ["Perplexity"]


@metrics.register
@component
class Perplexity(Metric):
    """Exponential of the mean cross-entropy [nat]: among how many equally likely classes the model seems to choose."""

    kind: Literal["perplexity"] = "perplexity"

    @property
    def greater_is_better(self) -> bool:
        """1 is the best."""
        return False

    def value(self, judged: Judged) -> float:
        """1 or more; infinite if a right class has probability 0."""
        of_right = np.take_along_axis(judged.log_probabilities, judged.labels[:, None], 1)[:, 0]
        return float(np.exp(-np.average(of_right, weights=judged.weights)))
