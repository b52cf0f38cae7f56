"""The losses of a step of the server whose logits are adjusted, as tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gapslsim.learning._layout import sent
from gapslsim.learning.criterion import Criterion
from gapslsim.learning.logit_adjustment import LogitAdjustment, offsets
from gapslsim.learning.operation import ServerStep
from gapslsim.learning.setup import LearningSetup

__all__ = ["losses_of"]


def losses_of(
    step: ServerStep, criterion: Criterion, setup: LearningSetup
) -> tuple[Criterion, Float[Tensor, "S n_classes"] | None]:
    """What a step is on, and what is added to the logits of each mini-batch for its cut gradient (`server_pass`).

    Args:
        step: that is made.
        criterion: of the training, without adjustment.
        setup: whose training labels are counted.
    """
    if step.adjustment is None:
        return criterion, None
    data, device = setup.data, step.messages[0].activations.device
    counts = {
        client: np.bincount(data.train.labels[setup.shards[client]], minlength=data.n_classes)
        for client in dict.fromkeys(step.clients)
    }
    of_clients = offsets(np.stack([counts[client] for client in step.clients]), step.adjustment)
    if step.adjustment.server == "shards":
        # A client counts once, however many mini-batches of it the step takes.
        of_step = np.sum(list(counts.values()), axis=0)
        of_server = sent(torch.from_numpy(offsets(of_step, step.adjustment)), device)
    else:
        of_server = _of_batch(step, step.adjustment, data.n_classes)
    return replace(criterion, offsets=of_server), sent(torch.from_numpy(of_clients), device)


def _of_batch(step: ServerStep, adjustment: LogitAdjustment, n_classes: int) -> Float[Tensor, " n_classes"]:
    """Those of the samples of a step, float64; counted where they are, so that nothing is waited for."""
    labels = torch.cat([message.labels for message in step.messages])
    n = torch.zeros(n_classes, dtype=torch.float64, device=labels.device)
    n = n.index_add_(0, labels, torch.ones_like(labels, dtype=torch.float64)) + adjustment.smoothing
    return adjustment.tau * (n / n.sum()).log()
