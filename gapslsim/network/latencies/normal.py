"""A normally distributed latency."""

from __future__ import annotations

from typing import Literal

from gapslsim.network._jitter import Jittered
from gapslsim.network.latency import latencies
from gapslsim.registry import component

__all__ = ["Normal"]


@latencies.register
@component
class Normal(Jittered):
    """Normal: `jitter` is the standard deviation. Cut off 4 deviations from the mean, as in netem's table."""

    kind: Literal["normal"] = "normal"

    def deviation(self, z: float) -> float:
        """The number itself."""
        return min(max(z, -4.0), 4.0)
