"""Routes in any graph, by networkx: the shortest path by latency or by hops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import networkx as nx

from gapslsim.errors import NetworkError, did_you_mean
from gapslsim.network._routes import Edge, LinkSpec, Route, Router

__all__ = ["GraphRouter"]

_TIE_S = 1e-12
"""Weight of a hop besides its latency, so that of equally fast paths the one with fewer hops is taken."""


class GraphRouter(Router):
    """Shortest paths in a directed graph, found per source when first asked and kept.

    Args:
        edges: by source and target.
        by_hops: fewest hops; otherwise smallest latency.
    """

    def __init__(self, edges: Mapping[tuple[str, str], LinkSpec], by_hops: bool) -> None:
        self._edges = dict(edges)
        self._graph: Any = nx.DiGraph()
        for (source, target), link in self._edges.items():
            self._graph.add_edge(source, target, weight=1.0 if by_hops else link.latency_s + _TIE_S)
        self._paths: dict[str, dict[str, list[str]]] = {}

    def route(self, source: str, target: str) -> Route:
        """The shortest path."""
        for node in (source, target):
            if node not in self._graph:
                raise NetworkError(
                    f"There is no node {node!r} in the graph.{did_you_mean(node, self._graph.nodes)}"
                )
        paths = self._paths.get(source)
        if paths is None:
            paths = self._paths[source] = nx.single_source_dijkstra_path(self._graph, source, weight="weight")
        if target not in paths:
            raise NetworkError(f"No route {source} -> {target}; add a link, or one in this direction.")
        path = paths[target]
        return Route(tuple(self._edges[hop] for hop in pairwise(path)))

    def edges(self) -> Iterator[Edge]:
        """Every directed edge."""
        for (source, target), link in self._edges.items():
            yield Edge(source, target, link)
