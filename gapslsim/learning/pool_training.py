"""Steps of the server on mini-batches drawn from a pool of smashed data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gapslsim.learning._layout import sent
from gapslsim.learning.criterion import Criterion
from gapslsim.learning.operation import PoolTraining
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, differentiate

__all__ = ["train_on_pool"]


def train_on_pool(
    side: Side,
    given: PoolTraining,
    random: np.random.Generator,
    seed: Callable[[int], int],
    criterion: Criterion,
) -> tuple[SideState, Float[Tensor, " S"]]:
    """Passes over the pool, each in an order drawn anew.

    The loss of a mini-batch is sum_k c_k w_k l_k / sum_k c_k w_k over its samples, with c_k the weight of the client of
    sample k and w_k that of its class.

    Args:
        side: the server's layers.
        given: state, messages and sizes.
        random: draws the orders.
        seed: from the number of a step to the seed of its pass (dropout).
        criterion: the loss.

    Returns:
        The state after the last step, and the mean loss of each message's samples, as they were when stepped on.
    """
    activations = torch.cat([message.activations.detach() for message in given.messages])
    labels = torch.cat([message.labels for message in given.messages])
    own = [len(message.labels) for message in given.messages]
    device, state, n = activations.device, given.state, sum(own)
    of_class = activations.new_ones(n) if criterion.class_weights is None else criterion.class_weights[labels]
    of_client = torch.cat([of_class.new_full((size,), w) for size, w in zip(own, given.weights, strict=True)])
    told, n_steps = activations.new_zeros(n), 0
    for _ in range(given.epochs):
        order = sent(torch.from_numpy(random.permutation(n)), device)
        for chosen in torch.split(order, list(given.sizes)):
            tape = side.forward(state, activations[chosen], seed(n_steps))
            each = criterion.loss.each(tape.output, labels[chosen], criterion.class_weights)
            total = (of_client[chosen] * of_class[chosen]).sum()
            gradients = differentiate((of_client[chosen] * each).sum() / total, tape.parameters)
            state, n_steps = side.update(state, gradients, tape.buffers), n_steps + 1
            told[chosen] += each.detach()
    sums = zip(torch.split(told, own), torch.split(of_class, own), strict=True)
    return state, torch.stack([losses.sum() / (given.epochs * counts.sum()) for losses, counts in sums])
