"""A latency that never changes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.network.latency import Delays, Latency, latencies
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["NO_LATENCY", "Constant"]


@latencies.register
@component
class Constant(Latency):
    """The same delay for every message; `4 ms` is short for it."""

    kind: Literal["constant"] = "constant"
    delay: Seconds
    """One way."""

    def delays(self, random: np.random.Generator) -> Delays:
        """The delay; draws nothing."""
        return lambda now_s: self.delay

    @property
    def mean_s(self) -> float:
        """The delay."""
        return self.delay

    @property
    def constant_s(self) -> float:
        """The delay."""
        return self.delay


NO_LATENCY = Constant(delay=0.0)
"""The default of most links."""
