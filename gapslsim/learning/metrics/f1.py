"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import ClassVar, Literal

from gapslsim.data.target import Target
from gapslsim.learning.metric import Judged, Metric, metrics
from gapslsim.registry import component

__all__ = ["F1"]


@metrics.register
@component
class F1(Metric):
    """F1 score of scikit-learn, over the classes that there are or that are said to be; 0 for one never said.

    Of several labels per sample: over the labels.
    """

    judges: ClassVar[tuple[Target, ...]] = ("class", "labels")
    kind: Literal["f1"] = "f1"
    average: Literal["macro", "weighted", "micro"] = "macro"
    """Over the classes: each counts alike, by its samples, or all samples are thrown together (then it is the
    accuracy)."""

    def value(self, judged: Judged) -> float:
        """In [0, 1]."""
        from sklearn.metrics import f1_score

        given = {"sample_weight": judged.weights, "average": self.average, "zero_division": 0.0}
        return float(f1_score(judged.labels, judged.predicted, **given))
