"""Channels, topologies and protocols that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar, Literal

from gapslsim.checks import channel, network, protocol
from gapslsim.network.channel import Channel
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.messages import FluidNetwork
from gapslsim.network.protocols.tcp import Tcp
from gapslsim.network.topologies.star import Star
from gapslsim.registry import component


@component
class Steps(Channel):
    """What is given."""

    kind: Literal["steps"] = "steps"

    def steps(self, random: Any) -> Any:
        return iter(self.given(random))

    def given(self, random: Any) -> Any:
        return [(0.0, 1e6), (1.0, 2e6)]


def rate(given: Any = None, **methods: Any) -> Any:
    methods |= {} if given is None else {"given": lambda self, random: given(random)}

    def make() -> Any:
        return component(
            type("Broken", (Steps,), {"__module__": __name__, "__annotations__": {}, **methods})
        )()

    return make


def endless(random: Any) -> Any:
    while True:
        random.random()
    yield 0.0, 1.0


class Drawn:
    n: ClassVar[Any] = itertools.count()


CHANNEL = [
    (channel.steps_begin_at_zero, rate(lambda r: []), "steps yields nothing"),
    (channel.steps_begin_at_zero, rate(lambda r: [(1.0, 1e6)]), "the first step is at 1.0 s"),
    (channel.steps_begin_at_zero, rate(endless), "did not end within 0.5 s of wall time"),
    (
        channel.times_grow,
        rate(lambda r: [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0)]),
        "step 2 is at 1.0 s, after 2.0 s",
    ),
    (channel.times_grow, rate(lambda r: [(0.0, 1.0), (math.nan, 1.0)]), "step 1 is at nan s"),
    (channel.rates_are_rates, rate(lambda r: [(0.0, -1.0)]), "the rate at 0 s is -1.0 bit/s"),
    (channel.rates_are_rates, rate(lambda r: [(0.0, math.inf)]), "must be finite"),
    (channel.rates_come_from_the_stream, rate(lambda r: [(0.0, float(next(Drawn.n)))]), "step 0 differs"),
    (
        channel.steps_are_not_too_short,
        rate(lambda r: ((i * 1e-9, 1.0) for i in itertools.count())),
        "1e-09 s each",
    ),
    (channel.summaries_fit, rate(constant_bit_per_s=property(lambda self: 5.0)), "say None unless"),
    (
        channel.summaries_fit,
        rate(mean_bit_per_s=property(lambda self: -1.0)),
        "must be finite and 0 or more",
    ),
    (
        channel.summaries_fit,
        rate(mean_bit_per_s=property(lambda self: 0.0)),
        "links of mean 0 are refused",
    ),
]


class Network(FluidNetwork):
    """As it is, but for one thing."""


def star(methods: Any = None, **of_topology: Any) -> Any:
    """Makes a star whose network has other methods, or that is changed itself."""

    def build(self: Any, env: Any, fleet: Any, seed: int) -> Any:
        kind = type("Changed", (Network,), methods)
        return kind(env, self.router(fleet), seed=seed, record_links=True)

    def make() -> Any:
        changed = {"__module__": __name__, "__annotations__": {}, **of_topology}
        if methods is not None:
            changed["build"] = build
        return component(type("Broken", (Star,), changed))()

    return make


def without_parameter_server(self: Any, fleet: Fleet) -> Any:
    return Star.router(self, Fleet(fleet.clients, fleet.server, "elsewhere"))


def unlimited(self: Any, fleet: Fleet) -> Any:
    fast = Constant(rate=1e12)
    return Star.router(self, Fleet(tuple(AccessLink(c.node, fast, fast) for c in fleet.clients)))


def through_nothing(self: Any, fleet: Fleet) -> Any:
    router = Star.router(self, fleet)
    known = router.route

    def route(source: str, target: str) -> Any:
        if source.startswith("client") and target.startswith("client"):
            raise KeyError(target)
        return known(source, target)

    router.route = route
    return router


def never_last(self: Any, source: str, targets: Any, size: float) -> Any:
    made = FluidNetwork.broadcast(self, source, targets, size)
    FluidNetwork.cancel(self, made[-1])
    return made


twice = property(
    lambda self: [(a, b, c, 2 * r, e, f) for a, b, c, r, e, f in FluidNetwork.link_use.fget(self)]
)

NETWORK = [
    (network.everybody_reaches_the_servers, star(router=without_parameter_server), "parameter-server"),
    (
        network.everybody_reaches_the_servers,
        star(problems=lambda self, n: ["too small."]),
        "it refuses every fleet",
    ),
    (network.clients_reach_each_other, star(router=through_nothing), "KeyError: 'client-1'"),
    (network.nobody_is_faster_than_the_own_link, star(router=unlimited), "the client's own link of"),
    (network.bytes_are_conserved, star({"link_use": twice}), "carried"),
    (network.broadcasts_arrive, star({"broadcast": never_last}), "have not arrived"),
    (
        network.cancelled_transfers_stop,
        star({"cancel": lambda self, transfer: None}),
        "arrived all the same",
    ),
]


def tcp(**methods: Any) -> Any:
    def make() -> Any:
        return component(type("Broken", (Tcp,), {"__module__": __name__, "__annotations__": {}, **methods}))()

    return make


PROTOCOL = [
    (protocol.overheads_are_sound, tcp(wire_share=property(lambda self: 0.5)), "1 or more"),
    (protocol.overheads_are_sound, tcp(set_up_s=lambda self, trip: -trip), "0 s or more"),
    (protocol.ramps_climb, tcp(ramp=lambda self, t, c: iter([(1.0, 5.0)])), "The first step is at 0"),
    (protocol.ramps_climb, tcp(ramp=lambda self, t, c: iter([(0.0, 5.0)])), "stays at 5 bit/s"),
]

CASES: list[tuple[Any, Any, str]] = [*CHANNEL, *NETWORK, *PROTOCOL]
NOTES: list[tuple[Any, Any, str]] = [
    (
        channel.something_passes,
        rate(lambda r: [(0.0, 0.0), (5.0, 0.0)]),
        "its first 2 steps have a rate of 0",
    ),
]
