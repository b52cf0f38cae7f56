"""What a metric is: a number for a model, from the probabilities that it gives to the test samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from gapslsim.registry import Family, component

__all__ = ["Judged", "Metric", "metrics"]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model says of n test samples; NumPy arrays, as scikit-learn takes them."""

    log_probabilities: Float[np.ndarray, "n n_classes"]
    """Logarithm of the probability that it gives to each class, float64."""
    labels: Int[np.ndarray, " n"]
    """The right classes."""
    weights: Float[np.ndarray, " n"]
    """How much each sample counts, above 0: 1 each, but in the view `local`, where classes weigh as in the client's
    training data."""

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "n n_classes"]:
        """Of each class."""
        return np.asarray(np.exp(self.log_probabilities))

    @cached_property
    def predicted(self) -> Int[np.ndarray, " n"]:
        """The likeliest class of each sample."""
        return np.asarray(self.log_probabilities.argmax(1))


@component
class Metric(ABC):
    """Settings of a metric; a pydantic component. Its files need no torch."""

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
