"""What a loss is: a number for each sample, from the outputs of the network and what is right.

A mini-batch's loss is the weighted mean over its samples, sum_j w_j l_j / sum_j w_j, as PyTorch's own losses take it;
w_j is the weight of the sample's class, 1 where classes have no weights. So every client divides by the weights of its
own mini-batch. What a loss costs is in `models/cost.py`, the same for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int, Shaped

from gapslsim.data.target import Target
from gapslsim.registry import Family, component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Loss", "losses", "targets_of"]


@component
class Loss(ABC):
    """Settings of a loss; a pydantic component. Imports torch inside its methods only."""

    takes: ClassVar[tuple[Target, ...]] = ("class",)
    """What labels it can be taken of."""

    @abstractmethod
    def each(
        self,
        outputs: Float[Tensor, "b n_classes"],
        labels: Shaped[Tensor, "b ..."],
        class_weights: Float[Tensor, " n_classes"] | None,
    ) -> Float[Tensor, " b"]:
        """w_j l_j of each sample; it may not depend on the other samples.

        Args:
            outputs: of the network, before softmax or sigmoid.
            labels: the right classes [b]; or a row of 0 and 1, or of numbers, for each sample, if the loss takes them.
            class_weights: what `weights_for` gave.
        """

    def mean(
        self,
        outputs: Float[Tensor, "b n_classes"],
        labels: Shaped[Tensor, "b ..."],
        class_weights: Float[Tensor, " n_classes"] | None,
    ) -> Float[Tensor, ""]:
        """The loss of a mini-batch, L_i."""
        each = self.each(outputs, labels, class_weights)
        return each.mean() if class_weights is None else each.sum() / class_weights[labels].sum()

    def weights_for(self, counts: Int[np.ndarray, " n_classes"]) -> Float[np.ndarray, " n_classes"] | None:
        """Weight of each class, above 0; None for 1 each.

        Args:
            counts: training samples of each class, of all clients.
        """
        return None

    def problems(self, n_classes: int) -> list[str]:
        """What in these settings does not fit the data, in words that say what to change."""
        return []

    def log_probabilities(self, outputs: Float[Tensor, "b n_classes"]) -> Float[Tensor, "b n_classes"]:
        """Logarithm of the probability that the model gives to each class; softmax unless a loss knows better."""
        from torch.nn import functional as F

        return F.log_softmax(outputs, dim=1)

    def outputs_for(self, probabilities: Float[Tensor, "b n_classes"]) -> Float[Tensor, "b n_classes"]:
        """Outputs that mean these probabilities, for the mean of several models."""
        import torch

        # A class that every model rules out has probability 0, whose logarithm would be infinite.
        return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()

    def judged(
        self,
        outputs: Float[Tensor, "b n_classes"],
        log_p: Float[Tensor, "b n_classes"],
        labels: Shaped[Tensor, "b ..."],
        class_weights: Float[Tensor, " n_classes"] | None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " b"]]:
        """Mean loss of the test samples, and w_j l_j of each.

        Args:
            outputs: of the network.
            log_p: what `log_probabilities` makes of them.
            labels: the right classes [b]; or a row of 0 and 1, or of numbers, for each sample, if the loss takes them.
            class_weights: what `weights_for` gave.
        """
        given = (outputs, labels, class_weights)
        return self.mean(*given), self.each(*given)


def targets_of(
    outputs: Float[Tensor, "b n_classes"], labels: Shaped[Tensor, "b ..."]
) -> Float[Tensor, "b n_classes"]:
    """What each output should be, in the type of the outputs: rows as they are, else 1 at the right class."""
    from torch.nn import functional as F

    if labels.ndim == 2:
        return labels.to(outputs.dtype)
    return F.one_hot(labels, outputs.shape[1]).to(outputs.dtype)


losses: Family[Loss] = Family("loss", "gapslsim.learning.losses")
