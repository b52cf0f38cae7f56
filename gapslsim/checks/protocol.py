"""Invariants of transport protocols: what they add to a message is an overhead."""

from __future__ import annotations

import math
from itertools import islice

from gapslsim.checks._tools import is_amount
from gapslsim.checks.check import require
from gapslsim.network.protocol import Protocol


def overheads_are_sound(protocol: Protocol) -> None:
    """A protocol makes messages no smaller and set-up no shorter than nothing.

    Bytes on the wire per byte of the message are 1 or more, times finite and 0 s or more.
    """
    require(is_amount(protocol.wire_share - 1), f"wire_share is {protocol.wire_share!r}")
    for trip_s in (0.0, 0.01, 0.6):
        set_up_s = protocol.set_up_s(trip_s)
        require(is_amount(set_up_s), f"set_up_s({trip_s:g}) is {set_up_s!r}")


def ramps_climb(protocol: Protocol) -> None:
    """A ramp begins at 0 s, its times grow, its caps are above 0 and it ends where the path is full, or never caps.

    The first step is at 0, times grow and caps are above 0; it ends with a cap of math.inf once the path is full.
    """
    for trip_s, capacity in ((0.01, 1e7), (0.6, 1e9), (0.0, 1e6)):
        what, last_s, cap = f"ramp({trip_s:g}, {capacity:g})", -1.0, math.inf
        for time_s, cap in islice(protocol.ramp(trip_s, capacity) or (), 1000):
            holds = (time_s > last_s if last_s >= 0 else time_s == 0) and cap > 0
            require(holds, f"{what} has a step ({time_s!r} s, {cap!r} bit/s) after {last_s!r} s")
            last_s = time_s
        require(cap >= capacity, f"{what} stays at {cap:g} bit/s")
