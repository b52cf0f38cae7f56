"""What a network is made of: links with channels, and the routes over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from gapslsim.network.channel import Channel

__all__ = ["LinkSpec", "Route", "Router"]


@dataclass(frozen=True, slots=True, eq=False)
class LinkSpec:
    """One link; compared by identity, so that two routes share it exactly if they hold the same object."""

    name: str
    """Names the link's random stream and its rows in `links.parquet`."""
    channel: Channel | None
    """None: unlimited, it has latency only."""
    latency_s: float = 0.0
    """One way."""
    shared: bool = True
    """False: each flow is capped at the channel's rate, whatever the others do."""


@dataclass(frozen=True, slots=True)
class Route:
    """The links from one node to another, in order."""

    links: tuple[LinkSpec, ...]
    extra_latency_s: float = 0.0
    """Latency of the path beyond that of its links."""

    @property
    def latency_s(self) -> float:
        """Latency of the whole path, one way."""
        return sum(link.latency_s for link in self.links) + self.extra_latency_s


class Router(ABC):
    """Knows the route between any two nodes."""

    @abstractmethod
    def route(self, source: str, target: str) -> Route:
        """The route; empty from a node to itself.

        Raises:
            NetworkError: if a node is unknown or there is no route.
        """
