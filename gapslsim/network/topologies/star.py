"""A star: every client on an access link of its own, one backhaul between them and the server."""

from __future__ import annotations

from typing import ClassVar, Literal

from gapslsim.network._backhaul import BehindBackhaul
from gapslsim.network._routes import Router
from gapslsim.network._tree import TreeRouter, hang_clients, hang_stations
from gapslsim.network.fleet import Fleet
from gapslsim.network.topology import topologies
from gapslsim.registry import component

__all__ = ["Star"]


@topologies.register
@component
class Star(BehindBackhaul):
    """Clients, each on its access link; then one backhaul; then the server. Clients reach each other without it."""

    kind: Literal["star"] = "star"
    alike: ClassVar[bool] = True
    duplex: Literal["full", "half"] = "full"
    """`full`: the backhaul has its rate in each direction; `half`: both directions share it."""

    def router(self, fleet: Fleet) -> Router:
        """A tree: the server, below it the switch that the clients hang on."""
        router = TreeRouter(fleet.server)
        router.hang(
            "access", fleet.server, self.backhaul, self.backhaul_latency,
            name="backhaul", duplex=self.duplex, back=self.backhaul_down, loss=self.backhaul_loss,
        )  # fmt: skip
        hang_clients(router, fleet, ["access"], "switch")
        hang_stations(router, fleet, {"access": "access"})
        self.hang_parameter_server(router, fleet, "access")
        return router.check()
