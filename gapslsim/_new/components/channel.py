"""A channel of your own: a rate over time, for `uplink` and `downlink` of a link."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np

from gapslsim import FAMILIES, Channel, Quantity, component


@FAMILIES["channel"].register
@component
class MyChannel(Channel):
    """A rate that is drawn anew in every period, between half and one and a half of the mean."""

    kind: Literal["my_channel"] = "my_channel"
    mean: Annotated[float, Quantity("bit/s", positive=True)]
    """Mean rate."""
    period: Annotated[float, Quantity("s", positive=True)] = 1.0
    """How long a rate lasts."""

    def steps(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Time [s] and the rate [bit/s] from then on; the first time is 0. Draws come from `random` alone."""
        for index in itertools.count():
            yield index * self.period, self.mean * random.uniform(0.5, 1.5)

    @property
    def mean_bit_per_s(self) -> float:
        """Long-run mean."""
        return self.mean
