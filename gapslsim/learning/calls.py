"""What the engine is asked for where it takes several operations of a kind at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gapslsim.learning.rules import ClientUpdate

if TYPE_CHECKING:
    from gapslsim.learning.reply import ServerReply
    from gapslsim.learning.state import SideState

__all__ = ["ClientBackward", "ClientForward"]


class ClientForward(NamedTuple):
    """A client's forward pass."""

    key: str
    """Content key of the operation."""
    state: SideState
    client: int
    step: int


class ClientBackward(NamedTuple):
    """A client's backward pass and update."""

    forward_key: str
    state: SideState
    client: int
    step: int
    reply: ServerReply
    rule: ClientUpdate
    initial: SideState
    """The shared initial weights."""
