"""Topologies whose clients reach the server over one backhaul: what they have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from gapslsim.network._tree import TreeRouter
from gapslsim.network.channel import Channel, channels
from gapslsim.network.fleet import Fleet
from gapslsim.network.latencies.constant import NO_LATENCY
from gapslsim.network.latency import Latency, latencies
from gapslsim.network.link_loss import LinkLoss, link_losses
from gapslsim.network.topology import Topology
from gapslsim.registry import component

__all__ = ["BehindBackhaul"]


@component
class BehindBackhaul(Topology):
    """One backhaul between the clients' side and the server, and a parameter server at one of its ends."""

    backhaul: Annotated[Channel, channels] | None = None
    """Rate from the clients' side to the server, shared by all clients; unlimited by default."""
    backhaul_down: Annotated[Channel, channels] | None = None
    """Rate from the server to the clients' side; by default the same as `backhaul`."""
    backhaul_latency: Annotated[Latency, latencies] = NO_LATENCY
    """One-way latency of the backhaul."""
    backhaul_loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets on the backhaul, for instance `1 %`."""
    parameter_server: Literal["beside_server", "beside_clients"] = "beside_server"
    """Where the parameter server is: at the server's end of the backhaul, or at the clients' end."""
    parameter_server_link: Annotated[Channel, channels] | None = None
    """Rate of the parameter server's own link, in each direction; unlimited by default."""
    parameter_server_latency: Annotated[Latency, latencies] = NO_LATENCY
    """One-way latency of the parameter server's own link."""
    parameter_server_loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets on the parameter server's own link."""

    def hang_parameter_server(self, router: TreeRouter, fleet: Fleet, clients_end: str) -> None:
        """Hangs the parameter server on its end of the backhaul."""
        place = fleet.server if self.parameter_server == "beside_server" else clients_end
        router.hang(
            fleet.parameter_server, place, self.parameter_server_link, self.parameter_server_latency,
            loss=self.parameter_server_loss,
        )  # fmt: skip
