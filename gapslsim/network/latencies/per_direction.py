"""Another latency up than down."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import model_validator

from gapslsim.network.latency import Delays, Direction, Latency, latencies
from gapslsim.registry import component

__all__ = ["PerDirection"]


@latencies.register
@component
class PerDirection(Latency):
    """A latency for each direction; `{up: 4 ms, down: 2 ms}` is short for it."""

    kind: Literal["per_direction"] = "per_direction"
    up: Annotated[Latency, latencies]
    """From a client towards the server; in a graph from the first node of `between` to the second."""
    down: Annotated[Latency, latencies]
    """Back."""

    @model_validator(mode="after")
    def _is_flat(self) -> PerDirection:
        for direction in ("up", "down"):
            if isinstance(getattr(self, direction), PerDirection):
                raise ValueError(f"{direction} is one direction; give it one latency")
        return self

    def of(self, direction: Direction) -> Latency:
        """That of the direction."""
        return self.up if direction == "up" else self.down

    def delays(self, random: np.random.Generator) -> Delays:
        """Those up; links ask each direction for itself."""
        return self.up.delays(random)

    @property
    def mean_s(self) -> float:
        """Mean of both."""
        return (self.up.mean_s + self.down.mean_s) / 2
