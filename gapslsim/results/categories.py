"""The one map from phases of spans to the six categories of "where the time went"."""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["CATEGORIES", "LABELS", "Category", "category_of", "received", "sent"]

Category = Literal["client_compute", "uplink", "server_queue", "server_compute", "downlink", "waiting"]

CATEGORIES: Final[tuple[Category, ...]] = (
    "client_compute", "uplink", "server_queue", "server_compute", "downlink", "waiting",
)  # fmt: skip
"""In the order of a round; each instant of a client's time belongs to exactly one."""

LABELS: Final[dict[Category, str]] = {
    "client_compute": "client compute",
    "uplink": "uplink",
    "server_queue": "server queue",
    "server_compute": "server compute",
    "downlink": "downlink",
    "waiting": "waiting",
}
"""As people read them."""

_BY_PHASE: Final[dict[str, Category]] = {
    "uplink": "uplink",
    "model_uplink": "uplink",
    "downlink": "downlink",
    "model_downlink": "downlink",
    "server_queue": "server_queue",
    "server_compute": "server_compute",
    "waiting": "waiting",
}


def category_of(phase: str) -> Category:
    """Category of a phase of a client's span.

    Sending between clients (`handover_out`) counts as uplink, receiving (`handover_in`) as downlink. Any other name
    is the operation of a computation on the client's device: `client_forward`, `local_training`, ...
    """
    if phase in _BY_PHASE:
        return _BY_PHASE[phase]
    if phase.endswith("_out"):
        return "uplink"
    if phase.endswith("_in"):
        return "downlink"
    return "client_compute"


def sent(phase: str) -> bool:
    """Whether a client's span of this phase is sending."""
    return category_of(phase) == "uplink"


def received(phase: str) -> bool:
    """Whether a client's span of this phase is receiving."""
    return category_of(phase) == "downlink"
