"""Another channel that fails from time to time."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.network.interrupted import interrupted, stays
from gapslsim.registry import component
from gapslsim.units import StepLength

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
    mean_up: StepLength
    """Mean time between outages."""
    mean_down: StepLength
    """Mean length of an outage."""

    def steps(self, random: np.random.Generator) -> Steps:
        """The steps of the channel inside, cut by the outages."""
        seeds = random.integers(0, 2**63, size=2)
        own, inner_random = (np.random.Generator(np.random.Philox(key=int(seed))) for seed in seeds)
        return interrupted(self.channel.steps(inner_random), stays(own, self.mean_up, self.mean_down))

    def dies(self) -> str | None:
        """As the channel inside."""
        return self.channel.dies()

    def notes(self) -> list[str]:
        """Those of the channel inside."""
        return self.channel.notes()

    @property
    def mean_bit_per_s(self) -> float | None:
        """Mean of the channel inside times the share of time up."""
        inner = self.channel.mean_bit_per_s
        return None if inner is None else inner * self.mean_up / (self.mean_up + self.mean_down)
