"""What a link asks of a latency: the time that each message takes before its first bit is through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from gapslsim.registry import Family
from gapslsim.units import json_schema_of

__all__ = ["Delays", "Direction", "Latency", "latencies"]

Direction = Literal["up", "down"]
"""`up`: from a client towards the server, from the first node of a graph's link to the second; `down`: back."""
Delays = Callable[[float], float]
"""From the time at which a message is submitted [s] to the delay that it draws [s]; asked in order of time."""


class Latency(ABC):
    """Settings of a latency, one way; a pydantic component. Each message draws once, for each link and direction."""

    @abstractmethod
    def delays(self, random: np.random.Generator) -> Delays:
        """What messages pay in one direction of one link, in order of their submission.

        Args:
            random: of this link and direction alone; all randomness comes from it.
        """

    @property
    @abstractmethod
    def mean_s(self) -> float:
        """Mean over messages (over time, for a trace) [s]: for shortest paths, round trips and pictures."""

    @property
    def constant_s(self) -> float | None:
        """The delay, if it never changes; then nothing is drawn and no stream is made."""
        return None

    def of(self, direction: Direction) -> Latency:
        """The latency of one direction; as a rule both have the same, drawn apart."""
        return self


def _shorthand(value: Any) -> Any:
    """`4 ms` is constant, `{up: ..., down: ...}` is `per_direction`; from Python a number is constant, in seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"kind": "constant", "delay": value}
    if isinstance(value, str) and any(digit in value for digit in "0123456789"):
        return {"kind": "constant", "delay": value}
    if isinstance(value, dict) and "kind" not in value and ("up" in value or "down" in value):
        return {"kind": "per_direction", **value}
    return value


latencies: Family[Latency] = Family(
    "latency", "gapslsim.network.latencies", shorthand=_shorthand, short_schema=json_schema_of("s")
)
"""A field of this family reads `4 ms` as `{kind: constant, delay: 4 ms}`."""
