"""Cross-entropy, the loss of classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.learning.loss import Loss, losses
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CrossEntropy"]


@losses.register
@component
class CrossEntropy(Loss):
    """Cross-entropy of the softmax, that of `torch.nn.CrossEntropyLoss`."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | Literal["balanced"] | None = None
    """What the samples of each class count, a number above 0 for each; or `balanced`: n / (n_classes n_c), where class
    c has n_c of the n training samples of all clients (as scikit-learn), 1 for a class without any. 1 unless given."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread evenly over all classes."""

    def each(self, outputs: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
        """See the base class."""
        from torch.nn import functional as F

        return F.cross_entropy(
            outputs, labels, class_weights, label_smoothing=self.label_smoothing, reduction="none"
        )

    def mean(self, outputs: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
        """See the base class; in one kernel."""
        from torch.nn import functional as F

        return F.cross_entropy(outputs, labels, class_weights, label_smoothing=self.label_smoothing)

    def judged(
        self, outputs: Tensor, log_p: Tensor, labels: Tensor, class_weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See the base class; from the logarithms that are there already."""
        from torch.nn import functional as F

        if self.label_smoothing:
            return super().judged(log_p, log_p, labels, class_weights)
        each = F.nll_loss(log_p, labels, class_weights, reduction="none")
        return F.nll_loss(log_p, labels, class_weights), each

    def weights_for(self, counts: np.ndarray) -> np.ndarray | None:
        """See the base class."""
        if self.class_weights == "balanced":
            there = counts > 0
            return np.where(there, counts.sum() / (there.sum() * counts.clip(min=1)), 1.0)
        return None if self.class_weights is None else np.array(self.class_weights)

    def problems(self, n_classes: int) -> list[str]:
        """See the base class."""
        given = self.class_weights
        if isinstance(given, tuple) and len(given) != n_classes:
            return [
                f"class_weights has {len(given)} numbers for {n_classes} classes; give one for each, or 'balanced'."
            ]
        return []
