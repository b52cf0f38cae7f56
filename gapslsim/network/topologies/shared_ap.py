"""Clients behind access points, each point a medium that its clients share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from gapslsim.bounds import Nodes
from gapslsim.network._backhaul import BehindBackhaul
from gapslsim.network._routes import Router
from gapslsim.network._tree import TreeRouter, hang_clients, hang_stations
from gapslsim.network.channel import Channel, channels
from gapslsim.network.fleet import Fleet
from gapslsim.network.latencies.constant import NO_LATENCY
from gapslsim.network.latency import Latency, latencies
from gapslsim.network.link_loss import LinkLoss, link_losses
from gapslsim.network.topology import topologies
from gapslsim.registry import component

__all__ = ["SharedAp"]


@topologies.register
@component
class SharedAp(BehindBackhaul):
    """Client, its own radio link, the medium of its access point, the point's cable, the backhaul, the server.

    A client's own link caps what it can do; the medium is shared by all clients of the point, by default by both
    directions at once (half duplex, as on Wi-Fi). Sharing is max-min in bytes, not in airtime: a slow client does not
    slow the others beyond its bytes. A message between two clients of one point takes the medium once.
    """

    kind: Literal["shared_ap"] = "shared_ap"
    alike: ClassVar[bool] = True
    access_points: Nodes = 1
    """Number of access points, named `ap-0`, `ap-1`, ...; a group's `access_point` chooses, else in turn."""
    medium: Annotated[Channel, channels]
    """Rate of each point's medium."""
    medium_latency: Annotated[Latency, latencies] = NO_LATENCY
    """One-way latency of the medium, besides that of the client's own link."""
    medium_loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets on the medium, for instance `1 %`."""
    duplex: Literal["half", "full"] = "half"
    """`half`: both directions share the medium; `full`: each has its rate."""
    cable: Annotated[Channel, channels] | None = None
    """Rate between each point and the backhaul, per point and direction; unlimited by default."""
    cable_latency: Annotated[Latency, latencies] = NO_LATENCY
    """One-way latency of the cable."""
    cable_loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets on the cable."""

    def router(self, fleet: Fleet) -> Router:
        """A tree: server, switch, cable and medium of each point, clients."""
        router = TreeRouter(fleet.server)
        router.hang(
            "switch", fleet.server, self.backhaul, self.backhaul_latency,
            name="backhaul", back=self.backhaul_down, loss=self.backhaul_loss,
        )  # fmt: skip
        points = [f"ap-{index}" for index in range(self.access_points)]
        for point in points:
            radio, medium = f"{point}/radio", f"{point}/medium"
            router.hang(
                radio, "switch", self.cable, self.cable_latency, name=f"{point}/cable", loss=self.cable_loss
            )
            router.hang(
                point, radio, self.medium, self.medium_latency,
                name=medium, duplex=self.duplex, loss=self.medium_loss,
            )  # fmt: skip
        hang_clients(router, fleet, points, "access point")
        # On the cable's side of the radio: what a client sends it takes the medium once.
        hang_stations(router, fleet, {point: f"{point}/radio" for point in points})
        self.hang_parameter_server(router, fleet, "switch")
        return router.check()
