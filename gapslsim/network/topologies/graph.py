"""Any graph of nodes and links, written out or from a file."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from gapslsim.errors import NetworkError, did_you_mean
from gapslsim.network._graph_links import GraphLink, read_graph
from gapslsim.network._routes import LinkSpec, Router, both_ways, check_links
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
    """A YAML, GraphML or node-link JSON file instead of `links`; relative to the scenario."""
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
        return self

    def router(self, fleet: Fleet) -> Router:
        """Shortest paths; checked for every client to the servers and back."""
        from gapslsim.network._graph_router import GraphRouter

        edges: dict[tuple[str, str], LinkSpec] = {}
        for link in self.links or read_graph(self.file or ""):
            _add(edges, link)
        # Before clients are hung on: whether a client is a node of the graph itself is decided by these.
        nodes = {node for edge in edges for node in edge}
        self._place_servers(edges, nodes, fleet)
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
        router = GraphRouter(edges, by_hops=self.routing == "hops")
        check_links(router.edges())
        for client in fleet.clients:
            # Now, both ways: a missing path would else show in the middle of a run.
            for server in (fleet.server, fleet.parameter_server):
                router.route(client.node, server)
                router.route(server, client.node)
        return router

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
        raise NetworkError(f"Link '{name}' joins node {a!r} with itself.")
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
                f"Link {edge[0]} -> {edge[1]} is given twice ('{edges[edge].name}' and '{spec.name}'); leave one out."
            )
        edges[edge] = spec


def _known(place: str, nodes: set[str], who: str) -> None:
    if place not in nodes:
        raise NetworkError(
            f"{who} is at {place!r}, which is no node of the graph.{did_you_mean(place, sorted(nodes))}"
        )
