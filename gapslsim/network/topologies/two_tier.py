"""Edge servers near the clients, and a cloud behind them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from gapslsim.bounds import Nodes
from gapslsim.network._routes import Router
from gapslsim.network._tree import TreeRouter, check_place, hang_clients, hang_stations
from gapslsim.network.channel import Channel, channels
from gapslsim.network.fleet import Fleet
from gapslsim.network.latencies.constant import NO_LATENCY
from gapslsim.network.latency import Latency, latencies
from gapslsim.network.link_loss import LinkLoss, link_losses
from gapslsim.network.topology import Topology, topologies
from gapslsim.registry import component

__all__ = ["TwoTier"]


@topologies.register
@component
class TwoTier(Topology):
    """Client, its access link, an edge site, the site's link to the core, the core's link, the cloud.

    The training server is in the cloud, or at an edge site; so is the parameter server, for itself. Clients of other
    sites then reach it through the core.
    """

    kind: Literal["two_tier"] = "two_tier"
    alike: ClassVar[bool] = True
    edges: Nodes = 2
    """Number of edge sites, named `edge-0`, `edge-1`, ...; a group's `access_point` chooses, else in turn."""
    edge_link: Annotated[Channel, channels] | None = None
    """Rate between each edge site and the core, per site and direction; unlimited by default."""
    edge_latency: Annotated[Latency, latencies] = NO_LATENCY
    """One-way latency between an edge site and the core."""
    edge_loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets between an edge site and the core."""
    cloud_link: Annotated[Channel, channels] | None = None
    """Rate between the core and the cloud, in each direction; unlimited by default."""
    cloud_latency: Annotated[Latency, latencies] = NO_LATENCY
    """One-way latency between the core and the cloud."""
    cloud_loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets between the core and the cloud."""
    server: str = "cloud"
    """Where the training server is: `cloud` or the name of an edge site."""
    parameter_server: str = "cloud"
    """Where the parameter server is: `cloud` or the name of an edge site."""

    def router(self, fleet: Fleet) -> Router:
        """A tree: cloud, core, edge sites, clients."""
        router = TreeRouter("cloud")
        router.hang(
            "core", "cloud", self.cloud_link, self.cloud_latency, name="cloud-link", loss=self.cloud_loss
        )
        sites = [f"edge-{index}" for index in range(self.edges)]
        for site in sites:
            router.hang(
                site, "core", self.edge_link, self.edge_latency, name=f"{site}/link", loss=self.edge_loss
            )
        hang_clients(router, fleet, sites, "edge site")
        hang_stations(router, fleet, {place: place for place in (*sites, "cloud")}, in_turn=sites)
        for node, place in ((fleet.server, self.server), (fleet.parameter_server, self.parameter_server)):
            check_place(f"{node} is at", place, ("cloud", *sites))
            router.hang(node, place)
        return router.check()
