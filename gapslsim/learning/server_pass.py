"""The server's forward and backward pass over the smashed data of all participants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gapslsim.learning.messages import Smashed
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, Tape, flatten, unflatten

__all__ = ["ServerPass", "average_over_clients", "server_pass"]


@dataclass(frozen=True, eq=False)
class ServerPass:
    """Gradients of one round; S participants, d server-side parameters.

    With phi > 0 (EPSL) the first m_i samples of each batch are backpropagated once for all clients: their part of
    the parameters' gradient is in every row of `matrix`, their cut gradient is `shared_cut`.
    """

    losses: Tensor
    """L_i, [S]."""
    matrix: Tensor
    """g_i as rows, [S, d]."""
    cuts: list[Tensor]
    """Own cut gradients dL_i/d(smashed data), each [b_i, ...]; rows of shared samples are zero."""
    shared_cut: Tensor | None
    """Cut gradient of the shared samples, [max m_i, ...]; None where nothing is shared."""
    buffers: tuple[Tensor, ...]
    """Buffers after the passes, made in order of the clients."""
    hessian_product: Callable[[int, Tensor], tuple[Tensor, Tensor]] | None


def server_pass(
    side: Side,
    state: SideState,
    smashed: Sequence[Smashed],
    n_shared: Sequence[int],
    seeds: Sequence[int],
    second_order: bool,
) -> ServerPass:
    """Forward and backward for every participant, in order.

    Args:
        side: the server's layers.
        state: the server's state.
        smashed: of each participant.
        n_shared: m_i, samples of each batch that are backpropagated once for all (EPSL); 0 for none.
        seeds: of each participant's pass, and one more for the shared pass.
        second_order: keep the graphs, for Hessian products.
    """
    buffers = state.buffers
    losses, rows, cuts, logit_gradients = [], [], [], []
    tapes: list[tuple[Tape, Tensor, tuple[Tensor, ...]]] = []
    for message, shared, seed in zip(smashed, n_shared, seeds[:-1], strict=True):
        activations = message.activations.detach().requires_grad_()
        with _twice_differentiable(second_order):
            tape = side.forward(SideState(state.parameters, buffers, {}), activations, seed)
        buffers = tape.buffers
        loss = F.cross_entropy(tape.output, message.labels)
        losses.append(loss.detach())
        targets = (*tape.parameters, activations)
        if shared:
            (logit_gradient,) = torch.autograd.grad(loss, tape.output, retain_graph=True)
            logit_gradients.append(logit_gradient)
            own = logit_gradient.clone()
            own[:shared] = 0
            gradients = torch.autograd.grad(tape.output, targets, own)
        else:
            gradients = torch.autograd.grad(loss, targets, create_graph=second_order)
        if second_order:
            tapes.append((tape, activations, gradients[:-1]))
        rows.append(flatten([gradient.detach() for gradient in gradients[:-1]]))
        cuts.append(gradients[-1].detach())
    matrix = torch.stack(rows)
    shared_cut = None
    if any(n_shared):
        shared_row, shared_cut = _shared_pass(side, state, smashed, logit_gradients, n_shared, seeds[-1])
        matrix = matrix + shared_row
    return ServerPass(
        torch.stack(losses), matrix, cuts, shared_cut, buffers, _hessian(tapes) if second_order else None
    )


def _twice_differentiable(second_order: bool) -> AbstractContextManager[None]:
    """Attention by plain matrix products where second derivatives are wanted: fused kernels have none."""
    return sdpa_kernel(SDPBackend.MATH) if second_order else nullcontext()


def _shared_pass(
    side: Side,
    state: SideState,
    smashed: Sequence[Smashed],
    logit_gradients: Sequence[Tensor],
    n_shared: Sequence[int],
    seed: int,
) -> tuple[Tensor, Tensor]:
    """EPSL's single backward pass of the averaged last-layer gradients.

    Sample j of every client is averaged with sample j of the others. The averaged gradients are backpropagated through
    the server evaluated at the averaged smashed data (our reading: the source needs one set of activations and does
    not say which). Buffers of this extra pass are dropped.
    """
    activations = average_over_clients([m.activations for m in smashed], n_shared).requires_grad_()
    averaged = average_over_clients(logit_gradients, n_shared)
    tape = side.forward(state, activations, seed)
    gradients = torch.autograd.grad(tape.output, (*tape.parameters, activations), averaged)
    return flatten(gradients[:-1]), gradients[-1]


def average_over_clients(tensors: Sequence[Tensor], n_rows: Sequence[int]) -> Tensor:
    """Row j of the mean over the clients that have a row j, for j < max(n_rows).

    Args:
        tensors: per client [b_i, ...].
        n_rows: how many leading rows of each count.
    """
    total = torch.zeros_like(tensors[0][:1]).expand(max(n_rows), *tensors[0].shape[1:]).clone()
    count = torch.zeros(max(n_rows), dtype=total.dtype, device=total.device)
    for tensor, n in zip(tensors, n_rows, strict=True):
        total[:n] += tensor[:n].detach()
        count[:n] += 1
    return total / count.view(-1, *([1] * (total.dim() - 1)))


def _hessian(
    tapes: Sequence[tuple[Tape, Tensor, tuple[Tensor, ...]]],
) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
    """Products with second derivatives of each client's loss, by double backpropagation."""

    def product(row: int, vector: Tensor) -> tuple[Tensor, Tensor]:
        tape, activations, gradients = tapes[row]
        pieces = unflatten(vector, tape.parameters)
        inner = sum((g * v).sum() for g, v in zip(gradients, pieces, strict=True))
        assert isinstance(inner, Tensor)
        seconds = torch.autograd.grad(
            inner,
            (*tape.parameters, activations),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return flatten(seconds[:-1]), seconds[-1]

    return product
