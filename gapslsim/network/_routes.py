"""What a network is made of: links with channels, and the routes over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gapslsim.errors import NetworkError
from gapslsim.network.channel import Channel

__all__ = ["Edge", "LinkSpec", "Route", "Router", "check_links"]


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

    @property
    def latency_s(self) -> float:
        """Latency of the whole path, one way."""
        return sum(link.latency_s for link in self.links)


@dataclass(frozen=True, slots=True)
class Edge:
    """A link from one node to the next; what `show topology` draws."""

    source: str
    target: str
    link: LinkSpec


class Router(ABC):
    """Knows the route between any two nodes."""

    @abstractmethod
    def route(self, source: str, target: str) -> Route:
        """The route; empty from a node to itself.

        Raises:
            NetworkError: if a node is unknown or there is no route.
        """

    @abstractmethod
    def edges(self) -> Iterator[Edge]:
        """Every directed edge; a half-duplex medium appears once in each direction, with the same link."""


def check_links(edges: Iterable[Edge]) -> None:
    """Refuses two links of one name, and links that can never carry anything.

    Raises:
        NetworkError: names the link and the fix.
    """
    seen: dict[str, LinkSpec] = {}
    for edge in edges:
        link = edge.link
        if seen.setdefault(link.name, link) is not link:
            raise NetworkError(
                f"Link '{link.name}' is given twice ({edge.source} -> {edge.target}); give each link a name of its own."
            )
        if link.channel is not None and link.channel.mean_bit_per_s == 0:
            raise NetworkError(
                f"Link '{link.name}' ({edge.source} -> {edge.target}) has a rate of zero for ever, so that nothing can "
                f"pass; give it a rate above zero."
            )
