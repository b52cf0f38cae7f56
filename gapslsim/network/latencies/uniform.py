"""A uniformly distributed latency."""

from __future__ import annotations

from typing import Literal

from gapslsim.network._jitter import Jittered, uniform_of
from gapslsim.network.latency import latencies
from gapslsim.registry import component

__all__ = ["Uniform"]


@latencies.register
@component
class Uniform(Jittered):
    """Uniform from `mean` - `jitter` to `mean` + `jitter`: what netem draws where no distribution is given."""

    kind: Literal["uniform"] = "uniform"

    def deviation(self, z: float) -> float:
        """From -1 to 1."""
        return 2 * uniform_of(z) - 1
