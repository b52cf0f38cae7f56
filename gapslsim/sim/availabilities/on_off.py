"""A client that comes and goes at random."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from gapslsim.registry import component
from gapslsim.sim._stays import Stays, in_turns
from gapslsim.sim.availability import Availability, availabilities

__all__ = ["OnOff"]


@availabilities.register
@component
class OnOff(Stays, Availability):
    """Up and down in turn for random times, each client by itself; up a share mean_up / (mean_up + mean_down) of it."""

    kind: Literal["on_off"] = "on_off"

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """For ever."""
        return in_turns(self, random)
