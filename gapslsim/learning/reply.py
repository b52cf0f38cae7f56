"""What the server sends back at the end of its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from gapslsim.learning.rules import Fate
from gapslsim.work import Deferred, Keyed, derived_key

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.engine import ServerOutcome

__all__ = ["Part", "ServerReply", "make_reply"]

Part = Callable[[str, int, "Deferred[ServerOutcome] | None", Callable[["ServerOutcome"], Any]], Keyed[Any]]
"""Key, size, outcome and what to take of it, to a message."""


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
    fates: Mapping[int, Fate],
    outcome: Deferred[ServerOutcome] | None,
    part: Part,
) -> ServerReply:
    """The messages of a server step, with their values unless the run is dry.

    Args:
        key: of the server step; those of the messages are derived from it.
        clients: participants, ascending.
        sizes: samples in each one's batch.
        n_shared: leading samples of each batch that are in the shared part.
        sample_bytes: cut gradient of one sample.
        fates: what becomes of each client; empty in a dry run.
        outcome: what the step computes; None in a dry run.
        part: makes a message of a part of the outcome.
    """
    own = {
        client: part(
            derived_key(key, "cut", client), (size - n) * sample_bytes, outcome, partial(_own_cut, client)
        )
        for client, size, n in zip(clients, sizes, n_shared, strict=True)
        if size > n
    }
    shared = None
    if any(n_shared):
        shared = part(derived_key(key, "cut"), max(n_shared) * sample_bytes, outcome, _shared_cut)
    return ServerReply(key, own, shared, dict(zip(clients, n_shared, strict=True)), fates)


def _own_cut(client: int, outcome: ServerOutcome) -> Tensor:
    return outcome.own[client]


def _shared_cut(outcome: ServerOutcome) -> Tensor:
    assert outcome.shared is not None
    return outcome.shared
