"""A lognormally distributed latency."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gapslsim.network._jitter import Correlated
from gapslsim.network.latency import latencies
from gapslsim.registry import component
from gapslsim.units import Quantity, Seconds

__all__ = ["Lognormal"]


@latencies.register
@component
class Lognormal(Correlated):
    """Skewed, as queues make it: `least` + (`mean` - `least`) exp(sigma z - sigma^2 / 2), z standard normal."""

    kind: Literal["lognormal"] = "lognormal"
    mean: Annotated[float, Quantity("s", positive=True)]
    """Mean delay, one way, `least` included."""
    sigma: Annotated[float, Field(ge=0, le=4)]
    """Standard deviation of the logarithm of what is above `least`."""
    least: Seconds = 0.0
    """What every message pays: propagation."""

    @model_validator(mode="after")
    def _mean_is_above(self) -> Lognormal:
        if self.least >= self.mean:
            raise ValueError(
                f"least ({self.least:g} s) must be below the mean ({self.mean:g} s), which includes it"
            )
        return self

    def delay_s(self, z: float) -> float:
        """The delay for a standard normal number."""
        return self.least + (self.mean - self.least) * math.exp(self.sigma * z - self.sigma**2 / 2)

    @property
    def mean_s(self) -> float:
        """The mean."""
        return self.mean
