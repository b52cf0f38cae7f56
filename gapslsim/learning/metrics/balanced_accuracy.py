"""Balanced accuracy: the mean of the accuracies per class."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.learning.metric import Judged, Metric, metrics
from gapslsim.registry import component

__all__ = ["BalancedAccuracy"]


@metrics.register
@component
class BalancedAccuracy(Metric):
    """Mean accuracy over the classes that there are, each counting alike."""

    kind: Literal["balanced_accuracy"] = "balanced_accuracy"

    def value(self, judged: Judged) -> float:
        """In [0, 1]."""
        from sklearn.metrics import recall_score

        # The recall of each class is its accuracy; scikit-learn's balanced accuracy warns of classes said by mistake.
        given = {"sample_weight": judged.weights, "average": "macro", "labels": np.unique(judged.labels)}
        return float(recall_score(judged.labels, judged.predicted, **given))
