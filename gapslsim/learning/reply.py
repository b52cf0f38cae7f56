"""What the server sends back at the end of its step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gapslsim.learning.rules import Fate
from gapslsim.work import Keyed, content_key

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.engine import ServerOutcome

__all__ = ["ServerReply", "make_reply"]


@dataclass(frozen=True, eq=False)
class ServerReply:
    """Cut gradients: a part that all clients share, a part of each client's own."""

    key: str
    own: Mapping[int, Keyed[Tensor]]
    """Per client; a client without a part of its own is not there."""
    shared: Keyed[Tensor] | None
    n_shared: Mapping[int, int]
    """Leading samples of each client's batch whose cut gradient is in the shared part."""
    fates: Mapping[int, Fate]
    """What becomes of each client; empty in a dry run."""


def make_reply(
    key: str,
    clients: Sequence[int],
    sizes: Sequence[int],
    n_shared: Sequence[int],
    sample_bytes: int,
    outcome: ServerOutcome | None,
) -> ServerReply:
    """The messages of a server step, with their values unless the run is dry.

    Args:
        key: of the server step.
        clients: participants, ascending.
        sizes: samples in each one's batch.
        n_shared: leading samples of each batch that are in the shared part.
        sample_bytes: cut gradient of one sample.
        outcome: what the step computed; None in a dry run.
    """

    def message(name: str, client: int, n_samples: int, value: Tensor | None) -> Keyed[Tensor]:
        message_key = content_key(name, client, key)
        if value is None:
            return Keyed(message_key, n_samples * sample_bytes)
        return Keyed(message_key, n_samples * sample_bytes, value)

    own = {
        client: message("cut_gradient", client, size - n, outcome.own[client] if outcome else None)
        for client, size, n in zip(clients, sizes, n_shared, strict=True)
        if size > n
    }
    shared = None
    if any(n_shared):
        shared = message("shared_cut_gradient", -1, max(n_shared), outcome.shared if outcome else None)
    fates = outcome.fates if outcome else {}
    return ServerReply(key, own, shared, dict(zip(clients, n_shared, strict=True)), fates)
