"""The loss that models are trained and judged by: the cross-entropy, for a mini-batch its mean over the samples.

Its cost is in `models/cost.py`.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

__all__ = ["batch_loss", "log_probabilities", "predicted_loss", "predicted_losses", "sample_losses"]


def batch_loss(logits: Float[Tensor, "b n_classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """Mean loss of a mini-batch."""
    return F.cross_entropy(logits, labels)


def sample_losses(logits: Float[Tensor, "b n_classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Loss of each sample."""
    return F.cross_entropy(logits, labels, reduction="none")


def log_probabilities(logits: Float[Tensor, "b n_classes"]) -> Float[Tensor, "b n_classes"]:
    """Logarithm of the probability that a model gives to each class."""
    return F.log_softmax(logits, dim=1)


def predicted_loss(log_p: Float[Tensor, "b n_classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """`batch_loss`, from the logarithms of the probabilities."""
    return F.nll_loss(log_p, labels)


def predicted_losses(log_p: Float[Tensor, "b n_classes"], labels: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    """`sample_losses`, from the logarithms of the probabilities."""
    return F.nll_loss(log_p, labels, reduction="none")
