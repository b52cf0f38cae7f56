"""Memory that training takes at its peak, from the sizes in a `SideCost` alone. Needs no torch.

Counted: parameters, their gradients, optimizer slots, buffers, the batch that enters, what autograd keeps for
the backward pass, the cut gradient that has arrived, and the inputs and outputs of the widest layer (temporary
values or gradients). Not counted: the Python process and its libraries, the data set, workspaces of a library's
kernels, fragmentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gapslsim.models.cost import SideCost

__all__ = ["client_memory_bytes", "server_memory_bytes"]


def client_memory_bytes(
    side: SideCost, n_slots: int, trains: bool = True, gets_cut_gradient: bool = True
) -> int:
    """Peak memory of the client-side model [B].

    Args:
        side: the client's side, at the batch size that is trained with.
        n_slots: tensors that the optimizer keeps per parameter: SGD 0, with momentum 1, Adam and AdamW 2.
        trains: whether the client updates its model; if not there are no gradients (the one of the cut is not
            sent either), slots or kept activations.
        gets_cut_gradient: whether the gradient of its output is sent to it and waits beside the rest; not where
            the client holds the whole model.
    """
    fixed = side.parameter_bytes + side.buffer_bytes + side.input_bytes + side.workspace_bytes
    # Without a backward pass a layer's output is let go when the next one has it.
    if not trains:
        return fixed
    n_copies = 1 + _checked("n_slots", n_slots, 0)
    waiting = side.output_bytes if gets_cut_gradient else 0
    return fixed + n_copies * side.trained_bytes + side.activation_bytes + waiting


def server_memory_bytes(
    side: SideCost,
    n_slots: int,
    n_clients: int,
    keeps_client_gradients: bool,
    n_copies: int = 1,
    n_joined: int = 1,
    arriving_bytes: int | None = None,
    n_waiting: int = 0,
) -> int:
    """Peak memory of the server-side model, or of that of a station between [B].

    The server takes one client after another, so that one client's activations are kept at a time, or those of a
    joined pass. The smashed data of all clients wait in memory, and so do the cut gradients until the last of them is
    sent.

    Args:
        side: the server's side, at the batch size of one client.
        n_slots: tensors that the optimizer keeps per parameter: SGD 0, with momentum 1, Adam and AdamW 2.
        n_clients: S, participants of a round.
        keeps_client_gradients: whether the rule needs the S gradients of d parameters side by side (LGI,
            GDA); they come on top of the one gradient that the optimizer gets.
        n_copies: server-side models that are trained beside one another, each with its optimizer's state and buffers;
            what is frozen they share.
        n_joined: clients whose samples go through one pass.
        arriving_bytes: smashed data of a round; S times what enters this side unless given.
        n_waiting: clients whose activations wait beside these for gradients that come back: at stations, and at servers
            whose clients take the loss.
    """
    _checked("n_clients", n_clients, 1)
    n_gradients = 1 + (n_clients if keeps_client_gradients else 0)
    of_copy = (1 + _checked("n_slots", n_slots, 0)) * side.trained_bytes + side.buffer_bytes
    waiting = 2 * (n_clients * side.input_bytes if arriving_bytes is None else arriving_bytes)
    return (
        side.parameter_bytes
        - side.trained_bytes
        + _checked("n_copies", n_copies, 1) * of_copy
        + n_gradients * side.trained_bytes
        + waiting
        + n_waiting * side.activation_bytes
        + _checked("n_joined", n_joined, 1) * (side.activation_bytes + side.workspace_bytes)
    )


def _checked(name: str, value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{name} must be {least} or more, found {value}.")
    return value
