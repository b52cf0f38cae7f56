"""Logit adjustment: a loss on logits to which tau times the logarithm of the labels' frequencies is added.

Source: Menon et al., Long-tail learning via logit adjustment (ICLR 2021, arXiv 2007.07314), the loss with
f_y(x) + tau log P(y). Here the server's parameters and what goes back to a client have each a P of their own, as in
SCALA (Yang, Liu, arXiv 2405.04875).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped

from gapslsim.data.target import MEANING, Target
from gapslsim.learning.loss import Loss
from gapslsim.learning.losses.cross_entropy import CrossEntropy

__all__ = ["LogitAdjustment", "offsets", "unfit"]


@dataclass(frozen=True, slots=True)
class LogitAdjustment:
    """What is added to the logits that a step of the server takes its losses of."""

    tau: float
    """Factor of log P, above 0; 1 in the source."""
    server: Literal["shards", "batch"] = "shards"
    """What labels the server's P counts: of the shards of the step's clients, or of the samples of the step."""
    smoothing: float = 0.0
    """Samples that each class has besides in every P; 0: a class without samples leaves the softmax."""

    def content(self, shard_keys: Sequence[str], clients: Sequence[int]) -> list[Any]:
        """What a step's content key says of it: these settings, and the shards whose labels are counted."""
        shards = [shard_keys[client] for client in clients]
        return ["logit_adjustment", self.tau, self.server, self.smoothing, shards]


def offsets(
    counts: Shaped[np.ndarray, "*n n_classes"], adjustment: LogitAdjustment
) -> Float[np.ndarray, "*n n_classes"]:
    """Returns tau log P(y), float64; -inf for a class that has no sample.

    Args:
        counts: samples of each class, of one distribution or of several.
        adjustment: how.
    """
    smoothed = np.asarray(counts, dtype=np.float64) + adjustment.smoothing
    with np.errstate(divide="ignore"):
        made: np.ndarray = adjustment.tau * np.log(smoothed / smoothed.sum(-1, keepdims=True))
    return made


def unfit(loss: Loss, target: Target, joined: bool = True) -> str:
    """Why logits cannot be adjusted with a loss and labels, in words; empty if they can.

    Args:
        loss: of the training.
        target: what labels are.
        joined: whether the server makes one pass over all samples of a step.

    With smoothed labels every class has a part in the target, and one that has left the softmax makes the loss
    infinite. Class weights would count the same skew twice.
    """
    if not joined:
        return (
            "logits are adjusted in one pass over the joined samples of a step; write server_schedule: joined"
        )
    if target != "class":
        return f"logits are adjusted by the frequency of classes, and the data have {MEANING[target]}; write tau: 0"
    if not isinstance(loss, CrossEntropy):
        kind = getattr(loss, "kind", type(loss).__name__)
        return f"logits are adjusted in the softmax of a cross-entropy, and the loss is {kind}; write cross_entropy"
    if loss.label_smoothing:
        return (
            "with label_smoothing every class is a part of the target, and one that a client has no sample of makes "
            "the loss infinite; write label_smoothing: 0"
        )
    if loss.class_weights is not None:
        return "class_weights and tau weigh classes for the same skew twice; leave class_weights out, or write tau: 0"
    return ""
