"""A star: every client on an access link of its own, one backhaul between them and the server."""

from __future__ import annotations

from typing import Annotated, Literal

from gapslsim.network.channel import Channel, channels
from gapslsim.network.fleet import Fleet
from gapslsim.network.routes import Router
from gapslsim.network.topology import Topology, topologies
from gapslsim.network.tree import TreeRouter, both_ways, hang_clients
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
        """A tree: the server, below it the switch that the clients hang on."""
        router = TreeRouter(fleet.server)
        router.hang(
            "access",
            fleet.server,
            *both_ways("backhaul", self.backhaul, self.backhaul_latency, self.duplex, self.backhaul_down),
        )
        hang_clients(router, fleet, ["access"], "switch")
        router.hang(
            fleet.parameter_server,
            fleet.server if self.parameter_server == "beside_server" else "access",
            *both_ways(fleet.parameter_server, self.parameter_server_link, self.parameter_server_latency),
        )
        return router.check()
