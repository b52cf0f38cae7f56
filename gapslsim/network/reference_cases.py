"""Reference cases of completion times, run through the SimPy-driven engine.

Links with profiles, directed routes, flows with sizes, starts and dependencies; see `reference_files`.
Used by `gapslsim check-network` and by the tests.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import simpy

from gapslsim.errors import NetworkError
from gapslsim.network._routes import Edge, LinkSpec, Route, Router
from gapslsim.network.channel import Channel, Steps
from gapslsim.network.messages import FluidNetwork
from gapslsim.network.protocol import Protocol
from gapslsim.network.reference_files import ReferenceCase, ReferenceFlow

__all__ = ["FlowTime", "run_case"]


@dataclass(frozen=True, slots=True)
class FlowTime:
    """When a flow was submitted and when its last byte was at the receiver."""

    start_s: float
    finish_s: float

    @property
    def duration_s(self) -> float:
        """From submission to the last byte."""
        return self.finish_s - self.start_s


@dataclass(frozen=True, slots=True)
class _Profile(Channel):
    """A list of capacities over time."""

    points: tuple[tuple[float, float], ...]

    def steps(self, random: np.random.Generator) -> Steps:
        yield from self.points


class _CaseRouter(Router):
    def __init__(self, case: ReferenceCase) -> None:
        links = {}
        for link in case.links:
            # A profile may give the rate from time 0 on itself.
            rates = {0.0: link.bandwidth_bps} | {step.t_s: step.bandwidth_bps for step in link.profile}
            links[link.id] = LinkSpec(link.id, _Profile(tuple(rates.items())), link.latency_s, link.shared)
        self._routes = {
            (route.src, route.dst): Route(tuple(links[name] for name in route.links)) for route in case.routes
        }

    def route(self, source: str, target: str) -> Route:
        if source == target:
            return Route(())
        try:
            return self._routes[source, target]
        except KeyError:
            raise NetworkError(f"No route {source} -> {target}.") from None

    def edges(self) -> Iterator[Edge]:
        for (source, target), route in self._routes.items():
            for link in route.links:
                yield Edge(source, target, link)


def run_case(
    case: ReferenceCase, *, protocol: Protocol | None = None, record_links: bool = False
) -> dict[str, FlowTime]:
    """Times of every flow of a case, by flow id.

    Args:
        case: one case of a reference file.
        protocol: what the transport adds; nothing by default.
        record_links: whether the engine records link use, which must change nothing.

    Raises:
        NetworkError: if a flow never ends.
    """
    env = simpy.Environment()
    network = FluidNetwork(env, _CaseRouter(case), record_links=record_links, protocol=protocol)
    ended = {flow.id: env.event() for flow in case.flows}
    times: dict[str, FlowTime] = {}

    def move(flow: ReferenceFlow) -> Generator[simpy.Event, None, None]:
        if flow.start_s > 0:
            yield env.timeout(flow.start_s)
        for name in flow.after:
            if not ended[name].processed:
                yield ended[name]
        if flow.delay_s:
            yield env.timeout(flow.delay_s)
        start_s = env.now
        yield network.send(flow.src, flow.dst, flow.bytes).done
        times[flow.id] = FlowTime(start_s, env.now)
        ended[flow.id].succeed()

    for flow in case.flows:
        env.process(move(flow))
    env.run()
    missing = [name for name in ended if name not in times]
    if missing:
        raise NetworkError(f"case {case.id}: flows never end: {', '.join(missing)}.")
    return times
