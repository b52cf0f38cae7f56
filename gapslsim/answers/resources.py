"""What can hold a run up: computing, links, latency and overheads of client groups, servers and shared links."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gapslsim.answers._faster import faster, less_overhead, with_computations
from gapslsim.hardware.device import Device
from gapslsim.hardware.devices import load_device
from gapslsim.hardware.profiled_device import ProfiledDevice
from gapslsim.network.channel import Channel
from gapslsim.network.latency import Latency
from gapslsim.network.link_loss import LinkLoss
from gapslsim.network.topologies.graph import Graph
from gapslsim.registry import unchecked
from gapslsim.scenario.schema import Scenario

__all__ = ["Resource", "Retimed", "resources"]

_OF_LINK: Final = {"uplink": "uplink", "downlink": "downlink", "latency": "latency", "loss": "packet loss"}
_TOKEN: Final = "\0faster"
"""Stands for the changed device in the copy of a scenario; no profile is called so."""


@dataclass(frozen=True)
class Retimed:
    """A scenario with one resource changed."""

    scenario: Scenario
    device: Callable[[str], Device] = load_device
    """Devices by name, as the scenario names them."""


@dataclass(frozen=True)
class Resource:
    """Something that a run may wait for."""

    who: str
    """A client group, `server`, `parameter-server`, a station's name or `network`."""
    what: str
    """`compute`, `overheads`, `uplink`, `downlink`, `latency`, `packet loss`, or the name of a link of the network."""
    path: str
    """Where it stands in the scenario; empty for what stands in a device's profile."""
    changed: Callable[[float], Retimed]
    """The scenario with the resource so many times as fast."""
    is_rate: bool = True
    """Whether a factor of 2 doubles it; it halves latencies, losses and overheads."""
    is_between: bool = False
    """Whether it is a machine's between clients and server."""

    @property
    def name(self) -> str:
        """`uplink of phones`, `compute of the server`, `backhaul`."""
        if self.who == "network":
            return self.what
        servers = ("server", "parameter-server")
        return f"{self.what} of {f'the {self.who}' if self.who in servers else self.who}"


def resources(scenario: Scenario, used: Collection[str] | None = None) -> list[Resource]:
    """All resources of a scenario, as far as they are there.

    Args:
        scenario: that was run.
        used: names of links and servers that did anything, as in the tables `links` and `spans`; None if that is not
            known.
    """
    found: list[Resource] = []
    for place, name in enumerate(scenario.group_names):
        found += _of_group(scenario, place, name)
    # Each for itself, also where one says what both are.
    apart = unchecked(
        scenario,
        parameter_server=unchecked(scenario.parameter_server, device=scenario.parameter_server_device),
    )
    for who, field in (("server", "server"), ("parameter-server", "parameter_server")):
        if used is None or who in used:
            node = getattr(apart, field)
            found += _of_node(
                who, node.device, partial(unchecked, apart, **{field: unchecked(node, device=_TOKEN)})
            )
    for place, station in enumerate(scenario.shape.stations()):
        if used is None or station.name in used:
            found += _of_station(scenario, place)
    return [*found, *_of_network(scenario, used)]


def _of_group(scenario: Scenario, place: int, name: str) -> Iterator[Resource]:
    group: Any = scenario.clients[place]

    def changed(**changes: Any) -> Scenario:
        # Faults know groups by the names that they had.
        made = unchecked(group, name=group.label, **changes)
        groups = (*scenario.clients[:place], made, *scenario.clients[place + 1 :])
        copied: Scenario = unchecked(scenario, clients=groups)
        return copied

    yield from _of_node(name, group.device, lambda: changed(device=_TOKEN))
    for field, what in _OF_LINK.items():
        part = getattr(group.link, field)
        if part is None or (isinstance(part, Latency) and part.mean_s == 0):
            continue

        def with_link(factor: float, field: str = field, part: Any = part) -> Retimed:
            return Retimed(changed(link=unchecked(group.link, **{field: faster(part, factor)})))

        yield Resource(name, what, f"clients.{place}.link.{field}", with_link, isinstance(part, Channel))


def _of_station(scenario: Scenario, place: int) -> Iterator[Resource]:
    stations = scenario.shape.stations()
    station = stations[place]

    def changed(**changes: Any) -> Scenario:
        others = (*stations[:place], dataclasses.replace(station, **changes), *stations[place + 1 :])
        # What stations are is all that a clock asks of a shape, whatever the settings that it makes them of.
        copied: Scenario = unchecked(scenario, shape=unchecked(scenario.shape, stations=lambda: others))
        return copied

    yield from _of_node(
        station.name,
        station.device or scenario.server.device,
        lambda: changed(device=_TOKEN),
        is_between=True,
    )
    for field, what in _OF_LINK.items():
        part = getattr(station.place, field)
        if not isinstance(part, (Channel, LinkLoss)) and not (isinstance(part, Latency) and part.mean_s > 0):
            continue

        def with_link(factor: float, field: str = field, part: Any = part) -> Retimed:
            return Retimed(changed(place=dataclasses.replace(station.place, **{field: faster(part, factor)})))

        yield Resource(station.name, what, "shape", with_link, isinstance(part, Channel), is_between=True)


def _of_node(
    who: str, name: str, scenario: Callable[[], Scenario], is_between: bool = False
) -> Iterator[Resource]:
    def with_device(change: Callable[[ProfiledDevice, float], ProfiledDevice]) -> Callable[[float], Retimed]:
        def changed(factor: float) -> Retimed:
            made = change(load_device(name), factor)
            return Retimed(scenario(), lambda asked: made if asked == _TOKEN else load_device(asked))

        return changed

    yield Resource(who, "compute", "", with_device(with_computations), is_between=is_between)
    device = load_device(name)
    if less_overhead(device, 2.0).overheads != device.overheads:
        yield Resource(who, "overheads", "", with_device(less_overhead), False, is_between)


def _of_network(scenario: Scenario, used: Collection[str] | None) -> Iterator[Resource]:
    network: Any = scenario.network
    if isinstance(network, Graph):
        yield from _of_graph(scenario, network, used)
        return
    for field in dataclasses.fields(network):
        part = getattr(network, field.name)
        if isinstance(part, (Channel, LinkLoss)) or (isinstance(part, Latency) and part.mean_s > 0):

            def changed(factor: float, name: str = field.name, part: Any = part) -> Retimed:
                return Retimed(
                    unchecked(scenario, network=unchecked(network, **{name: faster(part, factor)}))
                )

            what = field.name.replace("_", " ")
            yield Resource("network", what, f"network.{field.name}", changed, isinstance(part, Channel))


def _of_graph(scenario: Scenario, graph: Graph, used: Collection[str] | None) -> Iterator[Resource]:
    """Each link that carried anything."""
    written = graph.written_out()
    for place, link in enumerate(written.links):
        name = link.name or "-".join(link.between)
        if used is not None and not {*used} & {name, f"{name}/up", f"{name}/down"}:
            continue
        for what, fields in (
            ("", ("rate", "rate_back")),
            ("latency of ", ("latency",)),
            ("loss of ", ("loss",)),
        ):
            parts = {field: part for field in fields if (part := getattr(link, field)) is not None}
            if not parts or (what == "latency of " and link.latency.mean_s == 0):
                continue

            def changed(factor: float, place: int = place, parts: Any = parts) -> Retimed:
                made = unchecked(written.links[place], **{k: faster(v, factor) for k, v in parts.items()})
                links = (*written.links[:place], made, *written.links[place + 1 :])
                return Retimed(unchecked(scenario, network=unchecked(written, links=links)))

            path = f"network.links.{place}.{fields[0]}" if graph.links else ""
            yield Resource("network", f"{what}link {name}", path, changed, not what)
