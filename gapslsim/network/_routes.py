"""What a network is made of: links with channels, and the routes over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gapslsim.errors import NetworkError
from gapslsim.network.channel import Channel
from gapslsim.network.latency import Latency
from gapslsim.network.link_loss import LinkLoss, PacketLoss

__all__ = ["Edge", "LinkSpec", "Route", "Router", "both_ways", "check_links"]


@dataclass(frozen=True, slots=True, eq=False)
class LinkSpec:
    """One link; compared by identity, so that two routes share it exactly if they hold the same object."""

    name: str
    """Names the link's random stream and its rows in `links.parquet`."""
    channel: Channel | None
    """None: unlimited, it has latency only."""
    latency_s: float = 0.0
    """One way; the mean where it varies."""
    shared: bool = True
    """False: each flow is capped at the channel's rate, whatever the others do."""
    varying: Latency | None = None
    """What each message draws from; None where all pay `latency_s`."""
    back_s: float | None = None
    """Mean latency of the way back, for round trips; None: the same."""
    loss: PacketLoss | None = None
    """Of its packets."""
    medium: LinkSpec | None = None
    """The link whose rate this one shares, being its other direction; None for a link of its own."""


def both_ways(
    name: str,
    channel: Channel | None,
    latency: Latency | float = 0.0,
    *,
    back: Channel | None = None,
    loss: LinkLoss | None = None,
    shared: bool = True,
    half_duplex: bool = False,
) -> tuple[LinkSpec, LinkSpec]:
    """Both directions of a link: two links, or two that share one medium.

    Args:
        name: of the link; `/up` and `/down` are added where each direction has its own rate.
        channel: rate up; None for unlimited.
        latency: one way, or a constant [s].
        back: rate down, by default that up.
        loss: of packets.
        shared: see `LinkSpec`.
        half_duplex: whether both directions share the rate.

    Raises:
        NetworkError: if both directions share a rate of which each would lose another part.
    """
    lost_up, lost_down = (None, None) if loss is None else (loss.of("up"), loss.of("down"))
    ways = (latency, latency) if isinstance(latency, (int, float)) else (latency.of("up"), latency.of("down"))
    up_s, down_s = (way if isinstance(way, (int, float)) else way.mean_s for way in ways)
    varying = [None if isinstance(way, (int, float)) or way.constant_s is not None else way for way in ways]
    if half_duplex:
        if len({1.0 if lost is None else lost.carried_share for lost in (lost_up, lost_down)}) > 1:
            raise NetworkError(
                f"Link '{name}' is half duplex, both directions share one rate; give it one loss."
            )
        up = LinkSpec(name, channel, up_s, shared, varying[0], down_s, lost_up)
        if (down_s, varying[1], lost_down) == (up_s, None, lost_up):
            return up, up
        return up, LinkSpec(name, channel, down_s, shared, varying[1], up_s, lost_down, up)
    up = LinkSpec(f"{name}/up", channel, up_s, shared, varying[0], down_s, lost_up)
    return up, LinkSpec(f"{name}/down", back or channel, down_s, shared, varying[1], up_s, lost_down)


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
        link = edge.link.medium or edge.link
        if seen.setdefault(link.name, link) is not link:
            raise NetworkError(
                f"Link '{link.name}' is given twice ({edge.source} -> {edge.target}); give each link a name of its own."
            )
        if link.channel is not None and link.channel.mean_bit_per_s == 0:
            raise NetworkError(
                f"Link '{link.name}' ({edge.source} -> {edge.target}) has a rate of zero for ever, so that nothing can "
                f"pass; give it a rate above zero."
            )
