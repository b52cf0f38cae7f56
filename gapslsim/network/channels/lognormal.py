"""A rate that wanders around a mean."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.registry import component
from gapslsim.units import Quantity, StepLength

__all__ = ["Lognormal"]


@channels.register
@component
class Lognormal(Channel):
    """A stationary, correlated lognormal rate.

    ln(rate) = ln(mean) - sigma^2 / 2 + sigma x_k, with x_k a stationary Gaussian sequence of order one:
    x_(k+1) = rho x_k + sqrt(1 - rho^2) e_k, rho = exp(-step / correlation_time). So the mean of the rate is `mean`,
    its coefficient of variation sqrt(exp(sigma^2) - 1), and x decorrelates by 1/e over `correlation_time`.
    """

    kind: Literal["lognormal"] = "lognormal"
    mean: Annotated[float, Quantity("bit/s", positive=True)]
    """Mean rate."""
    sigma: Annotated[float, Field(ge=0)]
    """Standard deviation of the rate's natural logarithm."""
    correlation_time: Annotated[float, Quantity("s", positive=True)]
    """Time over which the logarithm's autocorrelation falls to 1/e."""
    step: StepLength = 1.0
    """The rate is constant over this time."""

    def steps(self, random: np.random.Generator) -> Steps:
        """One step after the other, for ever."""
        rho = math.exp(-self.step / self.correlation_time)
        spread = math.sqrt(1 - rho * rho)
        # From its stationary law, so that the start is like any other time.
        x = float(random.standard_normal())
        base = math.log(self.mean) - self.sigma**2 / 2
        k = 0
        while True:
            # k * step, not a running sum, which would drift from the grid.
            yield k * self.step, math.exp(base + self.sigma * x)
            x = rho * x + spread * float(random.standard_normal())
            k += 1

    @property
    def mean_bit_per_s(self) -> float:
        """The mean."""
        return self.mean
