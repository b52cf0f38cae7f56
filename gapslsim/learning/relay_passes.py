"""Passes through stretches of blocks whose loss lies elsewhere: from gradients that are received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from gapslsim.learning.criterion import Criterion
from gapslsim.learning.losses.cross_entropy import CrossEntropy
from gapslsim.learning.messages import Smashed, Weights
from gapslsim.learning.operation import TailPass
from gapslsim.learning.tensors import Side, differentiate

__all__ = ["RECEIVED", "forward_alone", "tail_pass"]


@dataclass(frozen=True, eq=False)
class _Received(Criterion):
    """The inner product of outputs with gradients that were received in place of labels.

    Its gradient is the vector-Jacobian product with them: so a pass from received gradients is a pass with this loss.
    """

    def mean(self, outputs: Float[Tensor, "b ..."], labels: Shaped[Tensor, "b ..."]) -> Float[Tensor, ""]:
        """Of one mini-batch."""
        return (outputs * labels).sum()

    def means(
        self, outputs: Float[Tensor, "b ..."], labels: Shaped[Tensor, "b ..."], sizes: Sequence[int]
    ) -> Float[Tensor, " n"]:
        """Of several that lie one behind the other."""
        if len(sizes) == 1:
            return self.mean(outputs, labels)[None]
        each = (outputs * labels).flatten(1).sum(1)
        return torch.stack([one.sum() for one in torch.split(each, list(sizes))])


RECEIVED = _Received(CrossEntropy())


def forward_alone(side: Side, weights: Weights, smashed: Smashed, seed: int) -> Smashed:
    """Output of a stretch in training mode, without a graph: it is made again when the gradient comes.

    Args:
        side: of the stretch.
        weights: of it.
        smashed: that enters; its labels travel along.
        seed: of the pass; the same when it is made again.
    """
    with torch.no_grad():
        tape = side.forward(weights, smashed.activations, seed)
    return Smashed(tape.output.detach(), smashed.labels)


def tail_pass(
    side: Side, weights: Weights, features: Tensor, labels: Tensor, seed: int, criterion: Criterion
) -> TailPass:
    """Loss of a client's last blocks, with gradients of their parameters and of the features.

    Args:
        side: of the last blocks.
        weights: of them.
        features: what the server gave.
        labels: the client's own.
        seed: of the pass.
        criterion: the loss.
    """
    entering = features.detach().requires_grad_()
    tape = side.forward(weights, entering, seed)
    loss = criterion.mean(tape.output, labels)
    *found, gradient = differentiate(loss, (*tape.parameters, entering))
    return TailPass(gradient, loss.detach(), tuple(found), tape.buffers)
