"""What a metric is: a number for a model, from what it says of the test samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Shaped

from gapslsim.data.target import Target
from gapslsim.registry import Family, component

__all__ = ["Judged", "Metric", "metrics"]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model says of n test samples; NumPy arrays, as scikit-learn takes them."""

    said: Float[np.ndarray, "n n_classes"]
    """Logarithm of the probability that it gives to each class, or to each of several labels; or numbers; float64."""
    labels: Shaped[np.ndarray, "n ..."]
    """What is right: classes [n], several labels (0 or 1) [n, n_classes], or numbers [n, n_classes]."""
    weights: Float[np.ndarray, " n"]
    """How much each sample counts, above 0: 1 each, but in the view `local`, where classes weigh as in the client's
    training data."""
    target: Target = "class"
    """Which of these labels are."""

    @property
    def log_probabilities(self) -> Float[np.ndarray, "n n_classes"]:
        """Logarithm of the probability of each class or label."""
        return self.said

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "n n_classes"]:
        """Of each class or label."""
        return np.asarray(np.exp(self.log_probabilities))

    @cached_property
    def predicted(self) -> Shaped[np.ndarray, "n ..."]:
        """What is said of each sample, as `labels`: the likeliest class; 1 for what is likelier than not; numbers."""
        if self.target == "numbers":
            return self.said
        return np.asarray(
            self.said.argmax(1) if self.target == "class" else (self.said > np.log(0.5)).astype(int)
        )


@component
class Metric(ABC):
    """Settings of a metric; a pydantic component. Its files need no torch."""

    judges: ClassVar[tuple[Target, ...]] = ("class",)
    """What labels it is made for."""
    kind: str
    """Name of its column in `evaluations`; each metric fixes its own."""

    @property
    def greater_is_better(self) -> bool:
        """Whether more of it is better, as for an accuracy; for `stop.patience`."""
        return True

    @abstractmethod
    def value(self, judged: Judged) -> float:
        """Of one model in one view; NaN where it has no meaning. There is at least one sample."""


metrics: Family[Metric] = Family("metric", "gapslsim.learning.metrics")
