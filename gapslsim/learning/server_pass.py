"""The server's forward and backward pass over the smashed data of all participants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from gapslsim.learning._joining import groups_of
from gapslsim.learning._layout import sent
from gapslsim.learning.criterion import CROSS_ENTROPY, Criterion
from gapslsim.learning.gradient_rows import GradientRows, Rows, mean_of, new_rows
from gapslsim.learning.messages import Smashed
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, Tape, differentiate, flatten, unflatten
from gapslsim.learning.workers import Together, one_by_one

__all__ = ["WINDOW", "ServerPass", "average_over_clients", "read_together", "server_pass", "weighed"]

_DoubleTape = tuple[Tape, Tensor, tuple[Tensor, ...]]

WINDOW = 32
"""Passes that threads carry out together before their results are added up."""


@dataclass(frozen=True, eq=False)
class ServerPass:
    """Gradients of one round; S participants, d server-side parameters.

    With phi > 0 (EPSL) the first m_i samples of each batch are backpropagated once for all clients: their part of
    the parameters' gradient is in every row of `matrix`, their cut gradient is `shared_cut`.
    """

    losses: Float[Tensor, " S"]
    """L_i."""
    matrix: Rows
    """g_i as rows, S of them; or one row, their mean."""
    cuts: list[Float[Tensor, "_ ..."]]
    """Own cut gradients dL_i/d(smashed data), of b_i samples each; rows of shared samples are zero."""
    shared_cut: Float[Tensor, "_ ..."] | None
    """Cut gradient of the max m_i shared samples; None where nothing is shared."""
    buffers: tuple[Shaped[Tensor, "*_"], ...]
    """Buffers after the passes, made in order of the clients."""
    hessian_product: Callable[[int, Tensor], tuple[Tensor, Tensor]] | None


class _Part(NamedTuple):
    """What one pass over a group of participants gives."""

    losses: Float[Tensor, " n"]
    gradient: Float[Tensor, " d"] | None
    """Sum over the group."""
    cuts: list[Float[Tensor, "_ ..."]]
    logit_gradients: list[Float[Tensor, "_ n_classes"]]
    buffers: tuple[Shaped[Tensor, "*_"], ...]
    tape: _DoubleTape | None
    """Kept for second derivatives."""


def server_pass(
    side: Side,
    state: SideState,
    smashed: Sequence[Smashed],
    n_shared: Sequence[int],
    seeds: Sequence[int],
    second_order: bool = False,
    *,
    keep_rows: bool = True,
    joined_samples: int = 0,
    stacked_samples: int = 0,
    together: Together = one_by_one,
    criterion: Criterion = CROSS_ENTROPY,
    window: int = WINDOW,
    remakes_graphs: bool = False,
    on_host: bool = False,
    into: Rows | None = None,
    as_one: bool = False,
    cut_offsets: Float[Tensor, "S n_classes"] | None = None,
) -> ServerPass:
    """Forward and backward for every participant.

    Participants are taken in groups, each one pass. Without client gradients the batches of a group are joined, up to
    `joined_samples`, where no layer mixes samples (batch norm) or draws (dropout). With client gradients batches of one
    size go side by side, up to `stacked_samples`. Else a group is one participant.
    What is computed depends on the groups alone, not on `together`. Only a group's cut gradients outlive it, and
    its row if rows are kept: memory is bounded by the participants of `window` groups.

    Args:
        side: the server's layers.
        state: the server's state.
        smashed: of each participant.
        n_shared: m_i, samples of each batch that are backpropagated once for all (EPSL); 0 for none.
        seeds: of each participant's pass, and one more for the shared pass.
        second_order: keep the graphs, for Hessian products.
        keep_rows: whether each client's gradient is wanted; False: only their mean.
        joined_samples: most samples of a joined pass.
        stacked_samples: most samples of a stacked pass.
        together: carries out independent calls.
        criterion: the loss.
        window: passes whose results wait to be added up; of no account to what is computed.
        remakes_graphs: for Hessian products each pass is made again, so that one graph is there at a time.
        on_host: whether rows go to the host's memory, where they are kept.
        into: where rows go, if they are a part of others.
        as_one: whether all samples go through one pass even where layers mix them or draw. The gradient is then that of
            the losses weighted by samples; without rows and shared samples.
        cut_offsets: with `as_one`, added to the outputs of each mini-batch in place of those of the criterion, for the
            loss that its cut gradient is of: a second backward pass, to the activations alone.
    """
    # Batch norm and dropout make the result of a joint pass depend on who is in it; second derivatives need a
    # graph per client.
    independent = not (side.mixes_samples or side.draws or second_order)
    sizes = [len(message.labels) for message in smashed]
    # A stack is one tensor, so its batches must be of one size; EPSL treats samples of a batch unlike.
    stacks = keep_rows and side.stackable and not any(n_shared) and len(set(sizes)) == 1
    most = (stacked_samples if stacks else 0) if keep_rows else joined_samples
    groups = [slice(0, len(sizes))] if as_one else groups_of(sizes, most if independent else 0)
    # Filled in place, row by row: S separate gradients and their stack would take twice the memory.
    d = sum(parameter.numel() for parameter in state.parameters)
    # A server without anything to learn still has losses and cut gradients to give.
    like = state.parameters[0] if state.parameters else smashed[0].activations
    # What EPSL's shared pass adds to every row comes last, so that those stay here.
    if into is None and keep_rows and on_host and not any(n_shared):
        into = new_rows(len(smashed), d, like)
    elsewhere = into if isinstance(into, GradientRows) else None
    n_here = (len(smashed) if keep_rows else 1) if into is None else 0
    matrix = like.new_empty(n_here, d) if keep_rows else like.new_zeros(n_here, d)
    if isinstance(into, Tensor):
        matrix = into
    parts: list[_Part] = []
    buffers = state.buffers
    # A pass that may change buffers starts from those that the one before left.
    window = window if independent else 1
    tapes: list[Callable[[], _DoubleTape | None]] = []
    for start in range(0, len(groups), window):
        calls, of_groups = [], []
        for group in groups[start : start + window]:
            now = SideState(state.parameters, buffers, {})
            messages, rows = smashed[group], None
            if keep_rows:
                rows = matrix[group] if elsewhere is None else like.new_empty(len(messages), d)
            of_groups.append((group, rows))
            if rows is not None and len(messages) > 1:
                calls.append(partial(_stacked_pass, side, now, messages, rows, criterion))
            else:
                # A joined group draws nothing, so that the seed of its first client is as good as any.
                seed = seeds[group.start]
                one = partial(_pass, side, now, messages, n_shared[group], seed, second_order, as_one)
                if as_one and cut_offsets is not None:
                    one = partial(one, cut_offsets=cut_offsets)
                calls.append(partial(one, rows, criterion))
                if second_order and remakes_graphs:
                    tapes.append(lambda one=one: one(None, criterion).tape)  # type: ignore[misc]
        for part, (group, rows) in zip(together(calls), of_groups, strict=True):
            if elsewhere is not None and rows is not None:
                elsewhere.write(group, rows)
            if not keep_rows:
                assert part.gradient is not None
                # In order of the groups, whichever is ready first: addition of floats is not associative.
                matrix[0] += part.gradient
            buffers = part.buffers
            # The gradient is in the matrix now; what is kept beside it must not hold d numbers per group.
            parts.append(part._replace(gradient=None, tape=None))
            if second_order and not remakes_graphs:
                tapes.append(partial(_as_it_is, part.tape))
    if not (keep_rows or as_one):
        matrix /= len(smashed)
    shared_cut = None
    if any(n_shared):
        logit_gradients = [gradient for part in parts for gradient in part.logit_gradients]
        shared_row, shared_cut = _shared_pass(side, state, smashed, logit_gradients, n_shared, seeds[-1])
        # After the division above: the shared part is each client's in full, and so it is of their mean.
        matrix += shared_row
    return ServerPass(
        losses=torch.cat([part.losses for part in parts]),
        matrix=matrix if elsewhere is None else elsewhere,
        cuts=[cut for part in parts for cut in part.cuts],
        shared_cut=shared_cut,
        buffers=buffers,
        hessian_product=_hessian(tapes) if second_order else None,
    )


def read_together(
    losses: Float[Tensor, " S"], rows: Rows | Sequence[Tensor]
) -> tuple[list[float], list[float]]:
    """Losses, and the sum of each row of gradients instead of a look at each element; in one read-back."""
    if isinstance(rows, GradientRows):
        sums = rows.sums
    else:
        sums = rows.sum(1) if isinstance(rows, Tensor) else torch.stack([row.sum() for row in rows])
    read: list[float] = torch.cat([losses, sums]).tolist()
    return read[: len(losses)], read[len(losses) :]


def weighed(weights: Sequence[float], matrix: Rows, keep_rows: bool) -> Rows:
    """Each row times its weight; or their mean as one row, over all rows and not over the weights."""
    if isinstance(matrix, GradientRows):
        scaled = matrix.times(weights)
        return scaled if keep_rows else mean_of(scaled, range(len(scaled)))[None]
    made = matrix * sent(torch.tensor(weights, dtype=matrix.dtype), matrix.device)[:, None]
    return made if keep_rows else made.mean(0, keepdim=True)


def _pass(
    side: Side,
    state: SideState,
    messages: Sequence[Smashed],
    n_shared: Sequence[int],
    seed: int,
    second_order: bool,
    by_samples: bool,
    rows: Float[Tensor, "1 d"] | None,
    criterion: Criterion,
    *,
    cut_offsets: Float[Tensor, "n n_classes"] | None = None,
) -> _Part:
    """One pass over the batches of a group; its gradient, the sum over the group, goes to `rows` if there are any.

    With `by_samples` it is the mean over the group weighted by samples; cut gradients are each client's own as ever;
    with `cut_offsets` they are of losses of their own.
    """
    sizes = [len(message.labels) for message in messages]
    shares = [size / sum(sizes) for size in sizes]
    # A leaf of its own: gradients stop at the cut, as they do between two machines.
    activations = _joined([message.activations.detach() for message in messages]).requires_grad_()
    # Attention by plain matrix products where second derivatives are wanted: fused kernels have none.
    with sdpa_kernel(SDPBackend.MATH) if second_order else nullcontext():
        tape = side.forward(state, activations, seed)
    labels = _joined([message.labels for message in messages])
    losses = criterion.means(tape.output, labels, sizes)
    targets = (*tape.parameters, activations)
    logit_gradients: list[Tensor] = []
    if any(n_shared):
        # In two steps, to the logits and on: the shared samples leave in between. The sum over batches gives
        # each its own gradient, since no sample sees another.
        (whole,) = torch.autograd.grad(losses.sum(), tape.output, retain_graph=True)
        logit_gradients = list(torch.split(whole, sizes))
        own = whole.clone()  # the logit gradients are views of the whole
        for batch, n in zip(torch.split(own, sizes), n_shared, strict=True):
            # They go back in the shared pass; here they must add nothing.
            batch[:n] = 0
        *found, cut = differentiate(tape.output, targets, own)
    else:
        weights = sent(torch.tensor(shares, dtype=losses.dtype), losses.device) if by_samples else None
        total = losses.sum() if weights is None else losses @ weights
        if weights is None or cut_offsets is None:
            *found, cut = differentiate(total, targets, again=second_order)
        else:
            # One forward pass, two losses: neither makes the other's part of the backward pass.
            moved = tape.output + torch.repeat_interleave(
                cut_offsets.to(losses.dtype),
                sent(torch.tensor(sizes), losses.device),
                dim=0,
                output_size=sum(sizes),
            )
            own_losses = replace(criterion, offsets=None).means(moved, labels, sizes)
            (cut,) = differentiate(own_losses @ weights, (activations,), keeps=bool(tape.parameters))
            found = list(differentiate(total, tape.parameters))
    cuts = list(torch.split(cut.detach(), sizes))
    if by_samples:
        cuts = [own / share for own, share in zip(cuts, shares, strict=True)]
    own_gradients = [gradient.detach().reshape(-1) for gradient in found] or [cut.new_empty(0)]
    return _Part(
        losses=losses.detach(),
        gradient=torch.cat(own_gradients) if rows is None else torch.cat(own_gradients, out=rows[0]),
        cuts=cuts,
        logit_gradients=logit_gradients,
        buffers=tape.buffers,
        tape=(tape, activations, tuple(found)) if second_order else None,
    )


def _stacked_pass(
    side: Side,
    state: SideState,
    messages: Sequence[Smashed],
    rows: Float[Tensor, "n d"],
    criterion: Criterion,
) -> _Part:
    """One pass over batches of one size, side by side; the gradient of each goes to its row."""
    n = len(messages)
    activations = torch.stack([message.activations.detach() for message in messages]).requires_grad_()
    labels = torch.stack([message.labels for message in messages])
    # Expanded, not copied: the layers see one tensor n times, and autograd gives n gradients.
    tape = side.forward_stacked([p.expand(n, *p.shape) for p in state.parameters], activations)
    losses = criterion.means(tape.output.flatten(0, 1), labels.flatten(0, 1), [labels.shape[1]] * n)
    # The models do not see one another, so the gradient of the sum holds that of each.
    *found, cuts = differentiate(losses.sum(), (*tape.parameters, activations))
    if found:
        torch.cat([gradient.flatten(1) for gradient in found], dim=1, out=rows)
    return _Part(losses.detach(), rows, list(cuts.unbind()), [], state.buffers, None)


def _joined(tensors: Sequence[Shaped[Tensor, "_ ..."]]) -> Shaped[Tensor, "_ ..."]:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def _shared_pass(
    side: Side,
    state: SideState,
    smashed: Sequence[Smashed],
    logit_gradients: Sequence[Float[Tensor, "_ n_classes"]],
    n_shared: Sequence[int],
    seed: int,
) -> tuple[Float[Tensor, " d"], Float[Tensor, "_ ..."]]:
    """EPSL's single backward pass of the averaged last-layer gradients.

    Sample j of every client is averaged with sample j of the others. The averaged gradients are backpropagated through
    the server evaluated at the averaged smashed data (our reading: the source needs one set of activations and does
    not say which). Buffers of this extra pass are dropped.
    """
    # A leaf that requires a gradient: what comes back is the cut gradient of the shared samples.
    activations = average_over_clients([m.activations for m in smashed], n_shared).requires_grad_()
    averaged = average_over_clients(logit_gradients, n_shared)
    tape = side.forward(state, activations, seed)
    *found, cut = differentiate(tape.output, (*tape.parameters, activations), averaged)
    return flatten(found, cut), cut


def average_over_clients(
    tensors: Sequence[Float[Tensor, "_ ..."]], n_rows: Sequence[int]
) -> Float[Tensor, "{max(n_rows)} ..."]:
    """Row j of the mean over the clients that have a row j, for j < max(n_rows).

    Args:
        tensors: one per client, b_i rows each.
        n_rows: how many leading rows of each count.
    """
    # Made whole first, as clients may have unlike numbers of rows; `clone`, as an expanded view cannot be
    # added to.
    total = torch.zeros_like(tensors[0][:1]).expand(max(n_rows), *tensors[0].shape[1:]).clone()
    count = torch.zeros(max(n_rows), dtype=total.dtype)
    for tensor, n in zip(tensors, n_rows, strict=True):
        total[:n] += tensor[:n].detach()
        count[:n] += 1
    return total / sent(count, total.device).view(-1, *([1] * (total.dim() - 1)))


def _as_it_is(tape: _DoubleTape | None) -> _DoubleTape | None:
    return tape


def _hessian(
    tapes: Sequence[Callable[[], _DoubleTape | None]],
) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
    """Products with second derivatives of each client's loss, by double backpropagation of its graph."""

    def product(row: int, vector: Float[Tensor, " d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "b ..."]]:
        found = tapes[row]()
        assert found is not None
        tape, activations, firsts = found
        pieces = unflatten(vector, tape.parameters)
        # H v is the gradient of <g, v> with v held constant (Pearlmutter 1994).
        inner = sum((g * v).sum() for g, v in zip(firsts, pieces, strict=True))
        if not isinstance(inner, Tensor):  # nothing to learn
            return vector, torch.zeros_like(activations)
        # The graph stays: a rule may ask for several products of one client. What the product does not
        # depend on has second derivative 0, which is no error.
        seconds = torch.autograd.grad(
            inner,
            (*tape.parameters, activations),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return flatten(seconds[:-1], seconds[-1]), seconds[-1]

    return product
