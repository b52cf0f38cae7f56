"""A latency with a long tail, less heavy than Pareto's."""

from __future__ import annotations

from typing import Literal

from gapslsim.network._jitter import Jittered, pareto_of
from gapslsim.network.latency import latencies
from gapslsim.registry import component

__all__ = ["ParetoNormal"]


@latencies.register
@component
class ParetoNormal(Jittered):
    """A quarter of `normal` and three quarters of `pareto` together: netem's table `paretonormal`."""

    kind: Literal["paretonormal"] = "paretonormal"

    def deviation(self, z: float) -> float:
        """Both from one number."""
        return 0.25 * z + 0.75 * pareto_of(z)
