"""A channel that is good or bad for random times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from gapslsim.network.channel import Channel, channels
from gapslsim.registry import component
from gapslsim.units import Rate, StepLength

__all__ = ["GilbertElliott"]


@channels.register
@component
class GilbertElliott(Channel):
    """Two states with exponential stays, in continuous time [gilbert1960; elliott1963].

    It starts in its stationary distribution: good with probability mean_good / (mean_good + mean_bad). The sources
    give bit errors in each state; here each state has a rate.
    """

    kind: Literal["gilbert_elliott"] = "gilbert_elliott"
    good: Rate
    """Rate in the good state."""
    bad: Rate = 0.0
    """Rate in the bad state; zero by default."""
    mean_good: StepLength
    """Mean stay in the good state."""
    mean_bad: StepLength
    """Mean stay in the bad state."""

    def steps(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Good and bad in turn, for ever."""
        good = random.random() * (self.mean_good + self.mean_bad) < self.mean_good
        time_s = 0.0
        while True:
            yield time_s, self.good if good else self.bad
            # The rest of a first stay is again exponential (no memory), so nothing is special at time 0.
            time_s += float(random.exponential(self.mean_good if good else self.mean_bad))
            good = not good

    @property
    def mean_bit_per_s(self) -> float:
        """Stationary mean."""
        total = self.good * self.mean_good + self.bad * self.mean_bad
        return total / (self.mean_good + self.mean_bad)
