"""Three tiers: clients, edge servers, the server in the cloud."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gapslsim.bounds import Depth
from gapslsim.models.segments import Segments
from gapslsim.network.fleet import Station
from gapslsim.registry import component
from gapslsim.scenario._device_name import DeviceName
from gapslsim.scenario._links import NamedLink
from gapslsim.scenario.shape import Cuts, Shape, StationNode, shapes
from gapslsim.scenario.shapes.chain import between

__all__ = ["Tiers"]


@shapes.register
@component
class Tiers(Shape):
    """Client | edge server | server in the cloud: each edge server holds a middle part of its own for its clients.

    It steps on the mean of its clients' gradients when the answers of the server's step have come back to it. A client
    belongs to an edge server at its access point if its group names one, else client i to edge server i mod n. What
    becomes of clients' and edges' models is said by `framework.client_sync`: `hierarchical` averages clients at their
    edge server and edge servers in the cloud, as hierarchical split federated learning does.
    """

    kind: Literal["tiers"] = "tiers"
    edges: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Edge servers, named `edge-server-0`, `edge-server-1`, ..."""
    cut: Annotated[Depth | str, Field(examples=[2])]
    """Where the edge servers' blocks end, counted as `model.cut`."""
    device: DeviceName | None = None
    """Hardware profile of an edge server, a name or a path; that of the server unless given."""
    at: tuple[str, ...] = ()
    """Access point, edge site, relay or node of the graph of each; unless given, as the network says: at the clients'
    switch of a star, at access points, edge sites or relays in turn."""
    link: NamedLink | None = None
    """Link of each of its own between it and the network; unlimited unless given."""

    @model_validator(mode="after")
    def _places_of_all(self) -> Tiers:
        if self.at and len(self.at) != self.edges:
            raise ValueError(
                f"`at` names {len(self.at)} places for {self.edges} edge servers; give each one, or none"
            )
        return self

    def stations(self) -> tuple[StationNode, ...]:
        """The edge servers."""
        link, places = self.link, self.at or (None,) * self.edges
        rest = () if link is None else (link.uplink, link.downlink, link.latency, link.loss)
        return tuple(
            StationNode(self.device, Station(f"edge-server-{index}", place, *rest))
            for index, place in enumerate(places)
        )

    def segments(self, cuts: Cuts) -> Segments | None:
        """One path for each edge server."""
        stations, end = self.stations(), cuts.at(self.cut)
        at_place: dict[str, list[str]] = {}
        for one, site in zip(stations, self.at, strict=False):
            at_place.setdefault(site, []).append(one.name)
        paths = []
        for client, (cut, place) in enumerate(zip(cuts.first, cuts.places, strict=True)):
            near = at_place.get(place or "") or [one.name for one in stations]
            paths.append(between(cut, [(near[client % len(near)], end)], cuts.n_blocks))
        shared = {path: path for path in paths}
        return Segments(tuple(shared[path] for path in paths))
