"""How the nodes of a fleet are joined: the family of network topologies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Final, Literal

import simpy

from gapslsim.errors import NetworkError
from gapslsim.network._routes import Router
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.messages import FluidNetwork
from gapslsim.network.protocol import Protocol, protocols
from gapslsim.network.protocols.tcp import Tcp
from gapslsim.registry import Family, component

__all__ = ["ENOUGH", "Topology", "topologies"]

ENOUGH: Final = 64
"""Clients of a group that checks look at where all are alike."""
_LINKS_RECORDED_UP_TO = 256
"""Clients up to which the load of links is kept unless the settings say; its rows grow with their square."""


@component
class Topology(ABC):
    """Settings of a topology; a pydantic component."""

    broadcast: Literal["multicast", "unicast"] = "multicast"
    """How one message goes to many: `multicast` carries it once over links that several targets have in common;
    `unicast` sends a copy to each."""

    record_links: bool | None = None
    """Whether the load of every link is kept (`links.parquet`); by default for fleets of up to 256 clients, since every
    message changes the load of all links that it shares."""
    protocol: Annotated[Protocol, protocols] | None = Tcp()
    """What the transport protocol adds: by default `tcp` with slow start, on connections that stay open, and no headers
    (rates are what applications measure); `null`: a message is its bytes."""

    alike: ClassVar[bool] = False
    """Whether what holds for some clients of a group holds for all, being hung by turns and not by name. Checks then
    look at `ENOUGH` of each: a million are none that anybody wants to wait for."""

    @abstractmethod
    def router(self, fleet: Fleet) -> Router:
        """The links and routes between the nodes of a fleet.

        Raises:
            NetworkError: if the settings do not fit the fleet.
        """

    def problems(self, n_clients: int) -> list[str]:
        """What is wrong with these settings for a fleet of this size, in words; for validation before a run."""
        n_looked_at = min(n_clients, ENOUGH) if self.alike else n_clients
        anyone = Constant(rate=1.0)  # The link of a client that stands for any.
        clients = tuple(AccessLink(f"client-{index}", anyone, anyone) for index in range(n_looked_at))
        try:
            self.router(Fleet(clients))
        except NetworkError as error:
            return [str(error)]
        return []

    def notes(self, fleet: Fleet) -> list[str]:
        """What a user should know of its links and nothing is wrong with, in words; `validate` tells it."""
        channels = [edge.link.channel for edge in self.router(fleet).edges()]
        return list(dict.fromkeys(note for channel in channels if channel for note in channel.notes()))

    def build(self, env: simpy.Environment, fleet: Fleet, seed: int) -> FluidNetwork:
        """A network that moves bytes between the nodes of a fleet.

        Args:
            env: the event loop.
            fleet: who is on it.
            seed: of the scenario; random channels draw from `stream(seed, "channel", link name)`.

        Raises:
            NetworkError: no route, a path that can carry nothing, a link given twice.
        """
        record_links = self.record_links
        if record_links is None:
            record_links = len(fleet.clients) <= _LINKS_RECORDED_UP_TO
        return FluidNetwork(
            env,
            self.router(fleet),
            seed=seed,
            record_links=record_links,
            broadcast=self.broadcast,
            protocol=self.protocol,
        )


topologies: Family[Topology] = Family("network", "gapslsim.network.topologies")
"""A scenario's `network` field."""
