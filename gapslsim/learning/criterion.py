"""A loss with the weights of the classes as tensors: what mini-batches and test samples are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gapslsim.learning.loss import Loss
from gapslsim.learning.losses.cross_entropy import CrossEntropy

__all__ = ["CROSS_ENTROPY", "Criterion"]


@dataclass(frozen=True, eq=False)
class Criterion:
    """A loss and its class weights; see `Loss`."""

    loss: Loss
    class_weights: Float[Tensor, " n_classes"] | None = None

    @classmethod
    def of(cls, loss: Loss, counts: np.ndarray, like: Tensor) -> Criterion:
        """With the class weights for so many training samples of each class, of the type and place of a tensor."""
        weights = loss.weights_for(counts)
        return cls(loss, None if weights is None else torch.as_tensor(weights).to(like.device, like.dtype))

    def mean(self, outputs: Float[Tensor, "b n_classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """Loss of a mini-batch."""
        return self.loss.mean(outputs, labels, self.class_weights)

    def means(
        self, outputs: Float[Tensor, "b n_classes"], labels: Int[Tensor, " b"], sizes: Sequence[int]
    ) -> Float[Tensor, " n"]:
        """L_i of each of several mini-batches that lie one behind the other."""
        if len(sizes) == 1:
            return self.mean(outputs, labels)[None]
        each = self.loss.each(outputs, labels, self.class_weights)
        if self.class_weights is not None:
            weights = torch.split(self.class_weights[labels], list(sizes))
            sums = zip(torch.split(each, list(sizes)), weights, strict=True)
            return torch.stack([losses.sum() / counts.sum() for losses, counts in sums])
        if len(set(sizes)) == 1:
            return each.view(len(sizes), -1).mean(1)
        # Batches of unlike size: a mean over all samples would weigh clients by their size.
        return torch.stack([losses.mean() for losses in torch.split(each, list(sizes))])

    def judged(
        self,
        outputs: Float[Tensor, "n n_classes"],
        log_p: Float[Tensor, "n n_classes"],
        labels: Int[Tensor, " n"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """Mean loss of test samples, and w_j l_j of each."""
        # Means of several models come in float64, whatever the models are in.
        weights = None if self.class_weights is None else self.class_weights.to(outputs.dtype)
        return self.loss.judged(outputs, log_p, labels, weights)


CROSS_ENTROPY = Criterion(CrossEntropy())
"""The loss unless another is given."""
