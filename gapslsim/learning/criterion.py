"""A loss with the weights of the classes as tensors, and what outputs say: what all samples are judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from gapslsim.data.target import Target
from gapslsim.learning.loss import Loss
from gapslsim.learning.losses.cross_entropy import CrossEntropy

__all__ = ["CROSS_ENTROPY", "Criterion"]


@dataclass(frozen=True, eq=False)
class Criterion:
    """A loss and its class weights; see `Loss`."""

    loss: Loss
    class_weights: Float[Tensor, " n_classes"] | None = None
    target: Target = "class"
    offsets: Float[Tensor, " n_classes"] | None = None
    """Added to outputs before losses are taken, float64; -inf takes a class out of the softmax (`logit_adjustment`)."""

    @classmethod
    def of(cls, loss: Loss, counts: np.ndarray | None, like: Tensor, target: Target = "class") -> Criterion:
        """With the class weights for so many training samples of each class, of the type and place of a tensor."""
        weights = None if counts is None else loss.weights_for(counts)
        given = None if weights is None else torch.as_tensor(weights).to(like.device, like.dtype)
        return cls(loss, given, target)

    def on_cpu(self) -> Criterion:
        """The same with its class weights on the CPU, where models are judged."""
        weights = self.class_weights
        return self if weights is None else replace(self, class_weights=weights.cpu())

    def mean(
        self, outputs: Float[Tensor, "b n_classes"], labels: Shaped[Tensor, "b ..."]
    ) -> Float[Tensor, ""]:
        """Loss of a mini-batch."""
        return self.loss.mean(self._moved(outputs), labels, self.class_weights)

    def means(
        self, outputs: Float[Tensor, "b n_classes"], labels: Shaped[Tensor, "b ..."], sizes: Sequence[int]
    ) -> Float[Tensor, " n"]:
        """L_i of each of several mini-batches that lie one behind the other."""
        outputs = self._moved(outputs)
        if len(sizes) == 1:
            return self.loss.mean(outputs, labels, self.class_weights)[None]
        each = self.loss.each(outputs, labels, self.class_weights)
        if self.class_weights is not None:
            weights = torch.split(self.class_weights[labels], list(sizes))
            sums = zip(torch.split(each, list(sizes)), weights, strict=True)
            return torch.stack([losses.sum() / counts.sum() for losses, counts in sums])
        if len(set(sizes)) == 1:
            return each.view(len(sizes), -1).mean(1)
        # Batches of unlike size: a mean over all samples would weigh clients by their size.
        return torch.stack([losses.mean() for losses in torch.split(each, list(sizes))])

    def _moved(self, outputs: Float[Tensor, "b n_classes"]) -> Float[Tensor, "b n_classes"]:
        return outputs if self.offsets is None else outputs + self.offsets.to(outputs.dtype)

    def said(self, outputs: Float[Tensor, "n n_classes"]) -> Float[Tensor, "n n_classes"]:
        """What outputs say: logarithms of probabilities of classes or labels; numbers as they are."""
        return outputs if self.target == "numbers" else self.loss.log_probabilities(outputs)

    def to_mix(self, said: Float[Tensor, "n n_classes"]) -> Float[Tensor, "n n_classes"]:
        """What several models are averaged by, float64: probabilities, or numbers."""
        return said.double() if self.target == "numbers" else said.double().exp()

    def mixed(
        self, mean: Float[Tensor, "n n_classes"]
    ) -> tuple[Float[Tensor, "n n_classes"], Float[Tensor, "n n_classes"]]:
        """Outputs that mean such an average, and what they say."""
        if self.target == "numbers":
            return mean, mean
        # A class that every client rules out has probability 0, whose logarithm would be infinite.
        return self.loss.outputs_for(mean), mean.clamp_min(torch.finfo(torch.float64).tiny).log()

    def accuracy(self, said: Float[Tensor, "n n_classes"], labels: Shaped[Tensor, "n ..."]) -> Tensor:
        """Share of each sample that is right, float64 [n].

        1 if the likeliest class is the right one; of several labels the share that is said rightly, yes if it is
        likelier than not; NaN for numbers.
        """
        if self.target == "numbers":
            return torch.full((len(labels),), math.nan, dtype=torch.float64)
        if self.target == "labels":
            return ((said > math.log(0.5)) == labels.bool()).double().mean(1)
        return (said.argmax(dim=1) == labels).double()

    def judged(
        self,
        outputs: Float[Tensor, "n n_classes"],
        log_p: Float[Tensor, "n n_classes"],
        labels: Shaped[Tensor, "n ..."],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """Mean loss of test samples, and w_j l_j of each."""
        # Means of several models come in float64, whatever the models are in.
        weights = None if self.class_weights is None else self.class_weights.to(outputs.dtype)
        return self.loss.judged(outputs, log_p, labels, weights)


CROSS_ENTROPY = Criterion(CrossEntropy())
"""The loss unless another is given."""
