"""Who is on the network: clients with their access links, a server and a parameter server."""

from __future__ import annotations

from dataclasses import dataclass

from gapslsim.network.channel import Channel
from gapslsim.network.latency import Latency
from gapslsim.network.link_loss import LinkLoss

__all__ = ["AccessLink", "Fleet"]


@dataclass(frozen=True, slots=True)
class AccessLink:
    """How one client reaches the network."""

    node: str
    """`client-0`, `client-1`, ..."""
    uplink: Channel
    downlink: Channel
    latency: Latency | float = 0.0
    """One way, or a constant [s]."""
    access_point: str | None = None
    """Name of the access point or edge server that it hangs on, where the topology has several."""
    loss: LinkLoss | None = None
    """Of packets."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All nodes that take part in training."""

    clients: tuple[AccessLink, ...]
    server: str = "server"
    parameter_server: str = "parameter-server"
