"""Latencies and losses that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

import itertools
import math
from typing import Any

from gapslsim.checks import latency, link_loss
from gapslsim.network.latencies.constant import Constant
from gapslsim.network.link_loss import Price
from gapslsim.network.losses.rate import Rate
from gapslsim.registry import component


def changed(base: type[Any], settings: dict[str, Any], **methods: Any) -> Any:
    return lambda: component(type("Broken", (base,), {"__module__": __name__, **methods}))(**settings)


def delay(given: Any = None, **methods: Any) -> Any:
    """Makes a latency whose messages draw what `given(random)` gives each time."""
    if given is not None:
        methods |= {
            "delays": lambda self, random: lambda now_s: given(random),
            "constant_s": None,
        }
    return changed(Constant, {"delay": 0.01}, **methods)


def loss(given: Any = None, **methods: Any) -> Any:
    """Makes a loss that costs `given(random)` each time."""
    if given is not None:
        methods["price"] = lambda self, probability, size_bytes, round_trip_s, random: given(random)
    return changed(Rate, {"probability": 0.1}, **methods)


NUMBERS = itertools.count()
CASES: list[tuple[Any, Any, str]] = [
    (latency.delays_are_delays, delay(lambda r: r.normal()), "a message up drew -"),
    (latency.delays_are_delays, delay(lambda r: math.inf), "a message up drew inf s"),
    (latency.delays_come_from_the_stream, delay(lambda r: next(NUMBERS)), "draw otherwise when asked again"),
    (latency.summaries_fit, delay(mean_s=-1.0), "mean_s is -1.0"),
    (latency.summaries_fit, delay(constant_s=5.0), "constant_s is 5.0, and messages up draw [0.01,"),
    (link_loss.messages_arrive, loss(carried_share=0.0), "carried_share is 0.0"),
    (link_loss.messages_arrive, loss(lambda r: Price(math.inf)), "at a round trip of 0 s pays"),
    (link_loss.messages_arrive, loss(lambda r: Price(0.0, 0.0)), "cap_bit_per_s=0.0"),
    (link_loss.prices_come_from_the_stream, loss(lambda r: Price(next(NUMBERS))), "pay otherwise"),
]
NOTES: list[tuple[Any, Any, str]] = []
