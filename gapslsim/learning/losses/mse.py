"""Squared error of the outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from gapslsim.data.target import Target
from gapslsim.learning.loss import Loss, losses, targets_of
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Mse"]


@losses.register
@component
class Mse(Loss):
    """Mean squared error, `torch.nn.MSELoss`: against numbers, or 1 for the right class and 0 for all others.

    As probabilities of classes for the ensemble and for metrics we take the outputs cut to [0, 1] and divided by their
    sum.
    """

    takes: ClassVar[tuple[Target, ...]] = ("class", "numbers")
    kind: Literal["mse"] = "mse"

    def each(self, outputs: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
        """See the base class."""
        return (outputs - targets_of(outputs, labels)).square().mean(1)

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """See the class."""
        cut = outputs.clamp(1e-12, 1)
        return (cut / cut.sum(1, keepdim=True)).log()

    def outputs_for(self, probabilities: Tensor) -> Tensor:
        """The probabilities themselves."""
        return probabilities
