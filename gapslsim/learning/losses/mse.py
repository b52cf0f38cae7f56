"""Squared error of the outputs against 1 for the right class and 0 for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gapslsim.learning.loss import Loss, losses, one_hot
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Mse"]


@losses.register
@component
class Mse(Loss):
    """Mean squared error, that of `torch.nn.MSELoss` with the right class as 1 and all others as 0.

    As probabilities for the ensemble and for metrics we take the outputs cut to [0, 1] and divided by their sum.
    """

    kind: Literal["mse"] = "mse"

    def each(self, outputs: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
        """See the base class."""
        return (outputs - one_hot(outputs, labels)).square().mean(1)

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """See the class."""
        cut = outputs.clamp(1e-12, 1)
        return (cut / cut.sum(1, keepdim=True)).log()

    def outputs_for(self, probabilities: Tensor) -> Tensor:
        """The probabilities themselves."""
        return probabilities
