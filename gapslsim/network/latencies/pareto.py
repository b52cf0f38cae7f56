"""A latency with a long tail."""

from __future__ import annotations

from typing import Literal

from gapslsim.network._jitter import Jittered, pareto_of
from gapslsim.network.latency import latencies
from gapslsim.registry import component

__all__ = ["Pareto"]


@latencies.register
@component
class Pareto(Jittered):
    """Pareto of shape 3, moved to mean 0 and scaled to a standard deviation of `jitter`: netem's table `pareto`."""

    kind: Literal["pareto"] = "pareto"

    def deviation(self, z: float) -> float:
        """The number of the tail."""
        return pareto_of(z)
