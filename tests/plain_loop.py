"""Parallel split learning of three clients as a plain PyTorch loop in float64, to hold a learner to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gapslsim.learning.learner import Learner
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build

__all__ = ["assert_is_a_plain_loop"]

Batch = Callable[[LearningSetup, int, int], tuple[Tensor, Tensor]]


def assert_is_a_plain_loop(
    learner: Learner,
    setup: LearningSetup,
    n_steps: int,
    batch: Batch,
    loss_of: Callable[..., Any],
    within: float,
) -> None:
    """Losses and all weights are those of SGD (0.1, momentum 0.9) on the mean of the clients' gradients.

    Args:
        learner: after so many steps.
        setup: of three clients with six inputs.
        n_steps: taken by each client and the server.
        batch: inputs and labels of a client's mini-batch.
        loss_of: PyTorch's, of outputs and labels.
        within: absolute.
    """
    modules = [build(setup.model, (6,), setup.data.n_classes, setup.seed) for _ in range(3)]
    clients, server = [m.client.double() for m in modules], modules[0].server.double()
    optimizers = [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in (*clients, server)]
    recorded = []
    for step in range(n_steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        for client, module in enumerate(clients):
            inputs, labels = batch(setup, client, step)
            loss = loss_of(server(module(inputs)), labels)
            loss.backward()
            recorded.append(float(loss.detach()))
        for parameter in server.parameters():
            assert parameter.grad is not None
            parameter.grad /= 3
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_allclose([row.loss for row in learner.observed.losses], recorded, atol=within)
    for state, module in [
        *((learner.client_state(c), clients[c]) for c in range(3)),
        (learner.server_state, server),
    ]:
        for ours, theirs in zip(state.value.parameters, module.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=within)
