"""A channel that is good or bad for random times."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.network.interrupted import stays
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

    def steps(self, random: np.random.Generator) -> Steps:
        """Good and bad in turn, for ever."""
        for time_s, is_good in stays(random, self.mean_good, self.mean_bad):
            yield time_s, self.good if is_good else self.bad

    @property
    def mean_bit_per_s(self) -> float:
        """Stationary mean."""
        total = self.good * self.mean_good + self.bad * self.mean_bad
        return total / (self.mean_good + self.mean_bad)
