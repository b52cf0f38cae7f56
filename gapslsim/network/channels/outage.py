"""Another channel that fails from time to time."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np

from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["Outage"]


@channels.register
@component
class Outage(Channel):
    """Any channel with a rate of zero during outages: exponential times up and down, starting stationary.

    Transfers stall during an outage and go on after it. The outages and the channel inside draw from two streams
    of their own, so that changing one leaves the other as it was.
    """

    kind: Literal["outage"] = "outage"
    channel: Annotated[Channel, channels]
    """The channel while it is up."""
    mean_up: Annotated[float, Quantity("s", positive=True)]
    """Mean time between outages."""
    mean_down: Annotated[float, Quantity("s", positive=True)]
    """Mean length of an outage."""

    def steps(self, random: np.random.Generator) -> Steps:
        """The steps of the channel inside, cut by the outages."""
        seeds = random.integers(0, 2**63, size=2)
        own, inner_random = (np.random.Generator(np.random.Philox(key=int(seed))) for seed in seeds)
        inner = self.channel.steps(inner_random)
        up = own.random() * (self.mean_up + self.mean_down) < self.mean_up
        toggle_s = float(own.exponential(self.mean_up if up else self.mean_down))
        time_s, rate = next(inner)
        following = next(inner, None)
        while True:
            yield time_s, rate if up else 0.0
            next_s = following[0] if following is not None else math.inf
            # Both may fall on one instant, so both are looked at before the next step is given.
            time_s = min(next_s, toggle_s)
            if following is not None and next_s <= time_s:
                rate = following[1]
                following = next(inner, None)
            if toggle_s <= time_s:
                up = not up
                toggle_s += float(own.exponential(self.mean_up if up else self.mean_down))

    @property
    def mean_bit_per_s(self) -> float | None:
        """Mean of the channel inside times the share of time up."""
        inner = self.channel.mean_bit_per_s
        return None if inner is None else inner * self.mean_up / (self.mean_up + self.mean_down)
