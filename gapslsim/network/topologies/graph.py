"""Any graph of nodes and links, written out or from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gapslsim.errors import NetworkError, did_you_mean
from gapslsim.network._graph_attributes import Meaning
from gapslsim.network._graph_links import FileLinks, GraphLink, Reading, read_graph
from gapslsim.network._parallel_links import Parallel, merged
from gapslsim.network._propagation import Coordinates
from gapslsim.network._routes import LinkSpec, Router, both_ways, check_links
from gapslsim.network.channel import Channel, channels
from gapslsim.network.file_name import FileName
from gapslsim.network.fleet import Fleet
from gapslsim.network.topology import Topology, topologies
from gapslsim.registry import component

__all__ = ["Graph"]


@topologies.register
@component
class Graph(Topology):
    """Nodes and links, with routing by latency or hops.

    A client that is a node of the graph (`client-0`, ...) is reached by the graph's own links. Any other client hangs
    on a node by its access link: the one that its group names as `access_point`, else the `gateways` in turn.
    """

    kind: Literal["graph"] = "graph"
    links: tuple[GraphLink, ...] = ()
    """The links; nodes are what they join."""
    file: FileName | None = None
    """A YAML, JSON, GraphML, GML or SNDlib XML file instead of `links`; relative to the scenario."""
    attributes: dict[str, Meaning] = Field(default_factory=dict)
    """What attributes of links in the file are: `{LinkSpeedRaw: rate in bit/s, delay: latency in ms, dist: length in
    km, "Link*": ignore}`. An attribute that is neither named here nor `rate`, `latency`, ... is refused."""
    names: str = ""
    """Attribute of the file's nodes that names them, for instance `label`; by default their ids."""
    coordinates: Coordinates | None = None
    """Links of the file without a latency get that of light in fibre between the places of their nodes."""
    default_rate: Annotated[Channel, channels] | None = None
    """Of links without a rate; by default they are unlimited, and `validate` counts them."""
    parallel: Parallel = "error"
    """Several links between two nodes: `error`, the `first` alone, or one with the `sum` of their rates."""
    routing: Literal["latency", "hops"] = "latency"
    """Shortest path by latency (of equal ones the one with fewer hops) or by hops."""
    gateways: tuple[str, ...] = ()
    """Nodes that clients hang on in turn."""
    server: str | None = None
    """Node at which the training server is; by default the graph has a node `server`."""
    parameter_server: str | None = None
    """Node at which the parameter server is; by default the node `parameter-server`, else beside the server."""

    @model_validator(mode="after")
    def _one_source(self) -> Graph:
        if bool(self.links) == bool(self.file):
            raise ValueError("give either `links` or `file`")
        if not self.file and (self.attributes or self.names or self.coordinates):
            raise ValueError(
                "`attributes`, `names` and `coordinates` say how a `file` is read; there is none"
            )
        return self

    def __hash__(self) -> int:
        """That of what a graph is made of: meanings of attributes are in a mapping, which has none."""
        return hash((self.links, self.file, self.routing, self.gateways))

    def _read(self) -> FileLinks:
        """The links, from whichever source, with the default rate."""
        read = FileLinks(self.links, directed=False)
        if self.file is not None:
            read = read_graph(self.file, Reading(self.attributes, self.names, self.coordinates))
        if self.default_rate is None:
            return read
        return replace(
            read, links=tuple(replace(one, rate=one.rate or self.default_rate) for one in read.links)
        )

    def written_out(self) -> Graph:
        """The same graph with its links in the settings, whatever file or default they came from."""
        links = self._read().links
        return replace(
            self, links=links, file=None, attributes={}, names="", coordinates=None, default_rate=None
        )

    def notes(self, fleet: Fleet) -> list[str]:
        """How many links there are, which way, and how many have no rate."""
        read = self._read()
        kind = "directed: each link is one way" if read.directed else "undirected: each link goes both ways"
        nodes = {node for link in read.links for node in link.between}
        found = [f"{self.file}: {len(nodes)} nodes, {len(read.links)} links, {kind}"] if self.file else []
        free = [link.name or "-".join(link.between) for link in read.links if link.rate is None]
        if free:
            some = ", ".join(free[:5]) + (", ..." if len(free) > 5 else "")
            found.append(
                f"{len(free)} of {len(read.links)} links have no rate and are unlimited: {some}; see default_rate"
            )
        return found + super().notes(fleet)

    def router(self, fleet: Fleet) -> Router:
        """Shortest paths; checked for every client to the servers and back."""
        from gapslsim.network._graph_router import GraphRouter

        edges: dict[tuple[str, str], LinkSpec] = {}
        read = self._read()
        for link in merged(read.links, self.parallel):
            _add(edges, link)
        # Before clients are hung on: whether a client is a node of the graph itself is decided by these.
        nodes = {node for edge in edges for node in edge}
        try:
            self._place_servers(edges, nodes, fleet)
            self._place_clients(edges, nodes, fleet)
            self._place_stations(edges, nodes, fleet)
        except NetworkError as error:
            raise NetworkError(f"{error}{read.hint}") from error
        router = GraphRouter(edges, by_hops=self.routing == "hops")
        check_links(router.edges())
        for client in fleet.clients:
            # Now, both ways: a missing path would else show in the middle of a run.
            for server in (fleet.server, fleet.parameter_server, *(one.node for one in fleet.stations)):
                router.route(client.node, server)
                router.route(server, client.node)
        return router

    def _place_clients(self, edges: dict[tuple[str, str], LinkSpec], nodes: set[str], fleet: Fleet) -> None:
        for index, client in enumerate(fleet.clients):
            if client.node in nodes:
                continue
            place = client.access_point or (
                self.gateways[index % len(self.gateways)] if self.gateways else None
            )
            if place is None:
                raise NetworkError(
                    f"{client.node} is no node of the graph; name its `access_point`, or give the graph `gateways`."
                )
            _known(place, nodes, client.node)
            edges[client.node, place], edges[place, client.node] = both_ways(
                client.node, client.uplink, client.latency, back=client.downlink, loss=client.loss
            )

    def _place_stations(self, edges: dict[tuple[str, str], LinkSpec], nodes: set[str], fleet: Fleet) -> None:
        for one in fleet.stations:
            if one.node in nodes:
                continue
            if one.at is None:
                raise NetworkError(f"{one.node} is no node of the graph; name the one that it is `at`.")
            _known(one.at, nodes, one.node)
            edges[one.node, one.at], edges[one.at, one.node] = both_ways(
                f"{one.node}/link", one.uplink, one.latency, back=one.downlink, loss=one.loss
            )

    def _place_servers(self, edges: dict[tuple[str, str], LinkSpec], nodes: set[str], fleet: Fleet) -> None:
        beside = {fleet.server: self.server, fleet.parameter_server: self.parameter_server}
        for node, place in beside.items():
            if node in nodes:
                continue
            if place is None and node == fleet.parameter_server:
                place = fleet.server
            if place is None:
                raise NetworkError(
                    f"The graph has no node {node!r}; name the node that it is at (`server: ...`)."
                )
            # The parameter server may be beside a server that was itself just hung on.
            _known(place, nodes | {fleet.server}, node)
            edges[node, place] = LinkSpec(f"{node}/up", None)
            edges[place, node] = LinkSpec(f"{node}/down", None)


def _add(edges: dict[tuple[str, str], LinkSpec], link: GraphLink) -> None:
    a, b = link.between
    name = link.name or f"{a}-{b}"
    if a == b:
        raise NetworkError(f"Link '{name}' joins node {a!r} with itself; leave it out.")
    if link.duplex != "full" and link.rate_back is not None:
        raise NetworkError(
            f"Link '{name}' is {link.duplex}, so that `rate_back` has no meaning; leave it out."
        )
    # A link that is not full duplex is one medium, so both directions have one name and share it.
    forth, back = both_ways(
        name, link.rate, link.latency,
        back=link.rate_back, loss=link.loss, shared=link.shared, half_duplex=link.duplex != "full",
    )  # fmt: skip
    for edge, spec in (((a, b), forth), ((b, a), back)):
        if link.duplex == "one_way" and edge == (b, a):
            continue
        if edge in edges:
            raise NetworkError(
                f"Link {edge[0]} -> {edge[1]} is given twice ('{edges[edge].name}' and '{spec.name}'); leave one out, "
                "or say parallel: first or sum."
            )
        edges[edge] = spec


def _known(place: str, nodes: set[str], who: str) -> None:
    if place not in nodes:
        raise NetworkError(
            f"{who} is at {place!r}, which is no node of the graph.{did_you_mean(place, sorted(nodes))}"
        )
