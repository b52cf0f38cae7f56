"""Who is on the network: clients with their access links, stations, a server and a parameter server."""

from __future__ import annotations

from dataclasses import dataclass

from gapslsim.network.channel import Channel
from gapslsim.network.latency import Latency
from gapslsim.network.link_loss import LinkLoss

__all__ = ["AccessLink", "Fleet", "Station"]


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
class Station:
    """A machine between clients and server: where it is, and how it reaches the network from there."""

    node: str
    """`edge-1`, `helper-2`, ..."""
    at: str | None = None
    """Name of the access point, edge site, relay or node of the graph that it is at; None: the topology says."""
    uplink: Channel | None = None
    """Rate of a link of its own, from it to the network; unlimited by default."""
    downlink: Channel | None = None
    latency: Latency | float = 0.0
    """One way, or a constant [s]."""
    loss: LinkLoss | None = None
    """Of packets."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All nodes that take part in training."""

    clients: tuple[AccessLink, ...]
    server: str = "server"
    parameter_server: str = "parameter-server"
    stations: tuple[Station, ...] = ()
