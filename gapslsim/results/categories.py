"""What the spans of a run mean: the category of each phase, and the order of the actors."""

from __future__ import annotations

from typing import Final, Literal, get_args

from gapslsim.units import whole_number

__all__ = [
    "CATEGORIES", "IN_VAIN", "LABELS", "Category", "actor_order", "category_of", "received", "relayed", "sent",
]  # fmt: skip

Category = Literal["client_compute", "uplink", "server_queue", "server_compute", "downlink", "waiting"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
"""In the order of a round; each instant of a client's time belongs to exactly one."""

LABELS: Final[dict[Category, str]] = {name: name.replace("_", " ") for name in CATEGORIES}
"""As people read them."""

IN_VAIN: Final = ("cancelled_", "lost_", "corrupted_")
"""Begin the name of a phase that was broken off, or of a message that did not arrive, or damaged."""


_RELAYED: Final[dict[str, Category]] = {
    f"{what}relay_{way}": "uplink" if way == "up" else "downlink"
    for what in ("", "model_")
    for way in ("up", "down")
}
"""Phases of messages between machines of which none is a client."""


def relayed(phase: str) -> bool:
    """Whether a span of this phase is a message between machines of which none is a client, and arrived."""
    return phase in _RELAYED


def category_of(phase: str, client: int = 0) -> Category:
    """Category of a phase: one of the six of "where the time went".

    Sending between clients (`handover_out`) counts as uplink, receiving (`handover_in`) as downlink; so do messages
    between servers and stations, towards the server and back (`relay_up`, `relay_down`). Any other name
    is the operation of a computation on the client's device: `client_forward`, `local_training`, ... What was in
    vain (`cancelled_uplink`, `lost_uplink`) counts as what it would have been. Being away counts as waiting, as
    does the tail of a radio, whose time is that of other spans.

    Args:
        phase: of a span.
        client: of that span; a server's own spans (-1) are its computations.
    """
    for prefix in IN_VAIN:
        phase = phase.removeprefix(prefix)
    if client < 0:
        return _RELAYED.get(phase, "server_compute")
    if phase in ("model_uplink", "feature_uplink") or phase.endswith("_out"):
        return "uplink"
    if phase in ("model_downlink", "feature_downlink") or phase.endswith("_in"):
        return "downlink"
    if phase in ("away", "radio_tail"):
        return "waiting"
    # The other phases that wait or send are named as their category.
    return next((category for category in CATEGORIES if category == phase), "client_compute")


def sent(phase: str) -> bool:
    """Whether what a client's span of this phase carried went up; false for one that was in vain."""
    return category_of(phase) == "uplink" and not phase.startswith(IN_VAIN)


def received(phase: str) -> bool:
    """Whether what a client's span of this phase carried came down; false for one that was in vain."""
    return category_of(phase) == "downlink" and not phase.startswith(IN_VAIN)


def actor_order(actor: str) -> tuple[int, int, str]:
    """Key to sort actors by: servers by name, then clients by number."""
    stem, _, text = actor.rpartition("-")
    number = whole_number(text)
    return (1, number, actor) if stem == "client" and number is not None else (0, 0, actor)
