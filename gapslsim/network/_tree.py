"""Routes in a tree: up to the first common ancestor, then down. Fast enough for a hundred thousand clients."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from gapslsim.errors import NetworkError, did_you_mean
from gapslsim.network._routes import Edge, LinkSpec, Route, Router, both_ways, check_links
from gapslsim.network.channel import Channel
from gapslsim.network.fleet import Fleet
from gapslsim.network.latency import Latency
from gapslsim.network.link_loss import LinkLoss

__all__ = ["TreeRouter", "check_place", "hang_clients", "hang_stations"]


class TreeRouter(Router):
    """Nodes that each hang on a parent by a link up and a link down (the same link: half duplex)."""

    def __init__(self, root: str) -> None:
        self._parents: dict[str, tuple[str, LinkSpec, LinkSpec] | None] = {root: None}

    def hang(
        self,
        node: str,
        parent: str,
        channel: Channel | None = None,
        latency: Latency | float = 0.0,
        *,
        name: str = "",
        duplex: str = "full",
        back: Channel | None = None,
        loss: LinkLoss | None = None,
    ) -> None:
        """Adds a node below a parent that is there, with links up and down: two of them, or one for half duplex.

        Args:
            node: what is added.
            parent: what it hangs on.
            channel: rate up, and down too unless `back` is given; unlimited by default.
            latency: one way, or a constant [s].
            name: of the link, by default that of the node; `/up` and `/down` are added for full duplex.
            duplex: `full` or `half`.
            back: rate down.
            loss: of packets.

        Raises:
            NetworkError: if the node is there already, or a half-duplex link is given a rate of its own down.
        """
        if node in self._parents:
            raise NetworkError(f"Node '{node}' is given twice; names of nodes must differ.")
        name = name or node
        if duplex == "half" and back is not None:
            raise NetworkError(
                f"Link '{name}' is half duplex, both directions share one rate; leave the rate of the way down out."
            )
        ways = both_ways(name, channel, latency, back=back, loss=loss, half_duplex=duplex == "half")
        self._parents[node] = (parent, *ways)

    def check(self) -> TreeRouter:
        """Returns itself if all links are usable; see `check_links`."""
        check_links(self.edges())
        return self

    def route(self, source: str, target: str) -> Route:
        """The one path that a tree has."""
        upward = self._to_root(source)
        downward = self._to_root(target)
        while upward and downward and upward[-1] == downward[-1]:
            upward.pop()
            downward.pop()
        links = [hop[1] for node in upward if (hop := self._parents[node]) is not None]
        links += [hop[2] for node in reversed(downward) if (hop := self._parents[node]) is not None]
        return Route(tuple(links))

    def edges(self) -> Iterator[Edge]:
        """Up and down of every node but the root."""
        for node, hop in self._parents.items():
            if hop is not None:
                parent, up, down = hop
                yield Edge(node, parent, up)
                yield Edge(parent, node, down)

    def _to_root(self, node: str) -> list[str]:
        if node not in self._parents:
            known = list(self._parents)
            raise NetworkError(
                f"There is no node {node!r} in the network, so no route.{did_you_mean(node, known)}"
            )
        path = [node]
        while (hop := self._parents[path[-1]]) is not None:
            path.append(hop[0])
        return path


def hang_clients(
    router: TreeRouter, fleet: Fleet, places: Sequence[str], word: str, default: str | None = None
) -> None:
    """Hangs every client on the place that it names, else on the default, else in turn: client i on place i mod n.

    Raises:
        NetworkError: if a client names a place that is not there; `word` says what places are.
    """
    known = dict.fromkeys(places)
    for index, client in enumerate(fleet.clients):
        place = client.access_point or default or places[index % len(places)]
        check_place(f"{client.node} is on {word}", place, known)
        router.hang(client.node, place, client.uplink, client.latency, back=client.downlink, loss=client.loss)


def hang_stations(
    router: TreeRouter, fleet: Fleet, places: Mapping[str, str], in_turn: Sequence[str] = ()
) -> None:
    """Hangs every station on the place that it names, else in turn: station i on place i mod n.

    Args:
        router: with the places.
        fleet: whose stations these are.
        places: node of the tree by the name that users know.
        in_turn: those that stations without a place are hung on; all of them unless given.

    Raises:
        NetworkError: if a station names a place that is not there, or is called as a node that is.
    """
    usual = list(in_turn or places)
    for index, one in enumerate(fleet.stations):
        place = one.at or usual[index % len(usual)]
        check_place(f"{one.node} is at", place, places)
        router.hang(
            one.node, places[place], one.uplink, one.latency,
            name=f"{one.node}/link", back=one.downlink, loss=one.loss,
        )  # fmt: skip


def check_place(what: str, place: str, known: Collection[str]) -> None:
    """Refuses a place that is not there.

    Raises:
        NetworkError: begins with `what`; names some places that are there.
    """
    if place not in known:
        names = list(known)
        raise NetworkError(
            f"{what} {place!r}, which is not there; known: {', '.join(names[:8])}"
            f"{', ...' if len(names) > 8 else ''}.{did_you_mean(place, names)}"
        )
