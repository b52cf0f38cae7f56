"""Devices that are slow for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.registry import component
from gapslsim.sim._stays import Stays, in_turns
from gapslsim.sim.fault import Fault, faults

__all__ = ["SlowDown"]


@faults.register
@component
class SlowDown(Stays, Fault):
    """A device computes more slowly for a while (`down`), then at its own speed again (`up`): heat, other programs.

    A computation that lies in both takes its share of each.
    """

    kind: Literal["slow_down"] = "slow_down"
    factor: Annotated[float, Field(gt=1, le=1000)]
    """How many times as long a computation takes meanwhile."""

    def slowness(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        """One and the factor in turn, for ever."""
        return ((time_s, 1.0 if up else self.factor) for time_s, up in in_turns(self, random))
