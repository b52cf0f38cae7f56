"""Names of states, and the side of the model that each is of."""

from __future__ import annotations

from typing import Final, Literal

from gapslsim.errors import ProtocolError

__all__ = ["AUXILIARY", "CLIENT", "SERVER", "Side", "auxiliary_of", "name_of", "of_side", "side_of"]

Side = Literal["client", "server", "auxiliary"]

CLIENT: Final = "client"
"""Name of the client-side state that all clients have in common until each has its own."""

SERVER: Final = "server"
"""Name of the server-side state; the names of copies begin so."""

AUXILIARY: Final = "auxiliary"
"""Name of the auxiliary network that all clients have in common until each has its own; their names begin so."""


def side_of(name: str) -> Side:
    """Side of the model that a state is of: the server's or an auxiliary network's if its name begins so."""
    return next((side for side in (SERVER, AUXILIARY) if name.startswith(side)), CLIENT)


def auxiliary_of(client: int, at: str = "") -> str:
    """Name of a client's auxiliary network; of another copy, at the server."""
    return f"{AUXILIARY}-{at}-{client}" if at else f"{AUXILIARY}-{client}"


def name_of(model: int | str) -> str:
    """Name of a state: a client's own for its index."""
    return f"client-{model}" if isinstance(model, int) else model


def of_side(name: str, side: Side) -> str:
    """The name, checked.

    Raises:
        ProtocolError: for a state of the other side.
    """
    if side_of(name) != side:
        raise ProtocolError(
            f"The state {name!r} is of the {side_of(name)} side, and one of the {side} side is needed; names of "
            f"server-side states begin with {SERVER!r}, of auxiliary networks with {AUXILIARY!r}, all others are of "
            "clients."
        )
    return name
