"""A rate that never changes."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["Constant"]


@channels.register
@component
class Constant(Channel):
    """The same rate for ever."""

    kind: Literal["constant"] = "constant"
    rate: Annotated[float, Quantity("bit/s", positive=True)]
    """Rate of the channel; more than zero."""

    def steps(self, random: np.random.Generator) -> Steps:
        """One step at time 0."""
        yield 0.0, self.rate

    @property
    def constant_bit_per_s(self) -> float:
        """The rate."""
        return self.rate
