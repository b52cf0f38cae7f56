"""Latencies that wander around a mean: what they have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from gapslsim.network.latency import Delays, Latency
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["Correlated", "Jittered", "pareto_of", "uniform_of"]


def uniform_of(z: float) -> float:
    """The normal distribution function: a standard normal number becomes a uniform one within 0 and 1."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def pareto_of(z: float) -> float:
    """A Pareto number of shape 3 as netem's table has it: moved to mean 0, scaled to deviation 1, at most 4.

    u^(-1/3) has the mean 3/2 and the variance 3/4. (The table is scaled by 4/3 and not by 1/sqrt(3/4) = 1.155; that
    scale is meant here.)
    """
    tail = math.pow(max(uniform_of(-z), 1e-300), -1 / 3)
    return min((tail - 1.5) / math.sqrt(0.75), 4.0)


@component
class Correlated(Latency):
    """A latency drawn from one standard normal number per message, which may resemble that of the message before."""

    correlation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """From one message to the next of the same link and direction: z' = c z + sqrt(1 - c^2) e. Delays keep their
    distribution, other than in netem, whose correlation narrows it."""

    @abstractmethod
    def delay_s(self, z: float) -> float:
        """The delay for a standard normal number; it grows with it."""

    def delays(self, random: np.random.Generator) -> Delays:
        """One number per message, whenever it comes."""
        numbers = self._numbers(random)
        return lambda now_s: self.delay_s(next(numbers))

    def _numbers(self, random: np.random.Generator) -> Iterator[float]:
        c, z = self.correlation, float(random.standard_normal())  # From its stationary law.
        while True:
            yield z
            z = c * z + math.sqrt(1 - c * c) * float(random.standard_normal())


@component
class Jittered(Correlated):
    """A delay of `mean` + `jitter` times a number of the distribution; what would be below 0 is 0."""

    mean: Seconds
    """Mean delay, one way, where nothing falls below 0."""
    jitter: Seconds
    """Scale of the deviation, as netem means it."""

    @abstractmethod
    def deviation(self, z: float) -> float:
        """A number of the distribution, of mean 0, made from a standard normal number."""

    def delay_s(self, z: float) -> float:
        """Mean and deviation."""
        return max(self.mean + self.jitter * self.deviation(z), 0.0)

    @property
    def mean_s(self) -> float:
        """The mean as given; cutting off below 0 raises it where the jitter is large."""
        return self.mean
