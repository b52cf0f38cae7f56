"""A chain of relays between the clients and the server."""

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

__all__ = ["Relay"]


@topologies.register
@component
class Relay(Topology):
    """Server, relay-0, relay-1, ... in a line; each hop is a link that everything beyond it shares.

    Bytes pass relays as they come (cut-through), so a path of several hops is as fast as its slowest share.
    """

    kind: Literal["relay"] = "relay"
    alike: ClassVar[bool] = True
    hops: Nodes = 2
    """Number of relays; relay-0 is next to the server."""
    hop: Annotated[Channel, channels]
    """Rate of each hop between relays, and between relay-0 and the server."""
    hop_latency: Annotated[Latency, latencies] = NO_LATENCY
    """One-way latency of each hop."""
    hop_loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets on each hop, for instance `1 %`."""
    duplex: Literal["full", "half"] = "full"
    """`half`: both directions of a hop share its rate."""
    clients: Literal["far", "spread"] = "far"
    """`far`: all clients hang on the last relay; `spread`: client i on relay i mod n; or `access_point`."""
    parameter_server: str = "server"
    """Where the parameter server is: `server` (beside it) or the name of a relay."""

    def router(self, fleet: Fleet) -> Router:
        """A line with clients hanging on it."""
        router = TreeRouter(fleet.server)
        relays = [f"relay-{index}" for index in range(self.hops)]
        for before, relay in zip([fleet.server, *relays], relays, strict=False):
            router.hang(
                relay, before, self.hop, self.hop_latency,
                name=f"{relay}/hop", duplex=self.duplex, loss=self.hop_loss,
            )  # fmt: skip
        hang_clients(router, fleet, relays, "relay", None if self.clients == "spread" else relays[-1])
        # The first of several is the nearest to clients that are far.
        hang_stations(router, fleet, {relay: relay for relay in reversed(relays)})
        place = fleet.server if self.parameter_server == "server" else self.parameter_server
        check_place("parameter_server is at", place, (fleet.server, *relays))
        router.hang(fleet.parameter_server, place)
        return router.check()
