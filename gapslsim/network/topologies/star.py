"""A star: every client on an access link of its own, one backhaul between them and the server."""

from __future__ import annotations

from typing import Annotated, Literal

from gapslsim.errors import NetworkError, did_you_mean
from gapslsim.network.channel import Channel, channels
from gapslsim.network.fleet import Fleet
from gapslsim.network.routes import LinkSpec, Route, Router
from gapslsim.network.topology import Topology, topologies
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["Star"]


@topologies.register
@component
class Star(Topology):
    """Clients, each on its access link; then one backhaul; then the server. Clients reach each other without it."""

    kind: Literal["star"] = "star"
    backhaul: Annotated[Channel, channels] | None = None
    """Rate between the access side and the server, shared by all clients; unlimited by default."""
    backhaul_down: Annotated[Channel, channels] | None = None
    """Rate from the server to the access side; by default the same as `backhaul`."""
    backhaul_latency: Seconds = 0.0
    """One-way latency of the backhaul."""
    duplex: Literal["full", "half"] = "full"
    """`full`: the backhaul has its rate in each direction; `half`: both directions share it."""
    parameter_server: Literal["beside_server", "beside_clients"] = "beside_server"
    """Where the parameter server is: at the server's end of the backhaul, or at the clients' end."""
    parameter_server_link: Annotated[Channel, channels] | None = None
    """Rate of the parameter server's own link, in each direction; unlimited by default."""
    parameter_server_latency: Seconds = 0.0
    """One-way latency of the parameter server's own link."""

    def router(self, fleet: Fleet) -> Router:
        """Routes by name; links are made when they are first used."""
        return _StarRouter(self, fleet)

    def problems(self, n_clients: int) -> list[str]:
        """Settings that contradict each other."""
        if self.duplex == "half" and self.backhaul_down is not None:
            return [
                "backhaul_down has no meaning with duplex: half, where both directions share `backhaul`; leave one out"
            ]
        return []


class _StarRouter(Router):
    def __init__(self, star: Star, fleet: Fleet) -> None:
        problems = star.problems(len(fleet.clients))
        if problems:
            raise NetworkError(problems[0])
        self._access = {client.node: client for client in fleet.clients}
        if len(self._access) != len(fleet.clients):
            raise NetworkError("Two clients have the same node name; names are client-0, client-1, ...")
        self._fleet = fleet
        self._links: dict[tuple[str, bool], LinkSpec] = {}
        self._at_server = star.parameter_server == "beside_server"
        up, down = star.backhaul, star.backhaul_down or star.backhaul
        latency_s = star.backhaul_latency
        self._up = _link("backhaul/up" if star.duplex == "full" else "backhaul", up, latency_s)
        self._down = self._up if star.duplex == "half" else _link("backhaul/down", down, latency_s)
        own, own_s = star.parameter_server_link, star.parameter_server_latency
        self._in = _link(f"{fleet.parameter_server}/in", own, own_s)
        self._out = _link(f"{fleet.parameter_server}/out", own, own_s)

    def route(self, source: str, target: str) -> Route:
        for node in (source, target):
            if node not in self._access and node not in (self._fleet.server, self._fleet.parameter_server):
                raise NetworkError(
                    f"No route {source} -> {target}: there is no node {node!r}."
                    f"{did_you_mean(node, [*self._access, self._fleet.server, self._fleet.parameter_server])}"
                )
        if source == target:
            return Route(())
        links: list[LinkSpec] = []
        links += self._leave(source)
        if self._beyond(source) != self._beyond(target):
            links.append(self._down if self._beyond(source) else self._up)
        links += self._reach(target)
        return Route(tuple(links))

    def _beyond(self, node: str) -> bool:
        """Whether a node is at the server's end of the backhaul."""
        return node not in self._access and (node == self._fleet.server or self._at_server)

    def _leave(self, node: str) -> list[LinkSpec]:
        if node in self._access:
            return [self._access_link(node, up=True)]
        return [self._out] if node == self._fleet.parameter_server else []

    def _reach(self, node: str) -> list[LinkSpec]:
        if node in self._access:
            return [self._access_link(node, up=False)]
        return [self._in] if node == self._fleet.parameter_server else []

    def _access_link(self, node: str, up: bool) -> LinkSpec:
        link = self._links.get((node, up))
        if link is None:
            client = self._access[node]
            name, channel = (f"{node}/up", client.uplink) if up else (f"{node}/down", client.downlink)
            link = self._links[node, up] = LinkSpec(name, channel, client.latency_s)
        return link


def _link(name: str, channel: Channel | None, latency_s: float) -> LinkSpec:
    return LinkSpec(name, channel, latency_s)
