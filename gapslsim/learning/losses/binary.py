"""Binary cross-entropy: every class is a yes or no of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from gapslsim.data.target import Target
from gapslsim.learning.loss import Loss, losses, targets_of
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Binary"]


@losses.register
@component
class Binary(Loss):
    """Binary cross-entropy of the sigmoid of each output, mean over the outputs: `torch.nn.BCEWithLogitsLoss`.

    Of several labels per sample (`target: labels`); of a class it is that class against the rest.
    """

    takes: ClassVar[tuple[Target, ...]] = ("class", "labels")
    kind: Literal["binary"] = "binary"

    def each(self, outputs: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
        """See the base class."""
        from torch.nn import functional as F

        target = targets_of(outputs, labels)
        return F.binary_cross_entropy_with_logits(outputs, target, reduction="none").mean(1)

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """Of each class by itself; they do not sum to 1."""
        from torch.nn import functional as F

        return F.logsigmoid(outputs)

    def outputs_for(self, probabilities: Tensor) -> Tensor:
        """See the base class."""
        import torch

        return torch.logit(probabilities, eps=torch.finfo(probabilities.dtype).eps)
