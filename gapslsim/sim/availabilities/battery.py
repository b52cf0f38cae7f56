"""A client that runs on a battery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.registry import component
from gapslsim.sim.availability import Availability, Battery, availabilities
from gapslsim.units import Power, Quantity

__all__ = ["OnBattery"]


@availabilities.register
@component
class OnBattery(Availability):
    """There until the run's own joules have emptied the battery, and again once it is charged.

    What drains it is the energy of the run's spans, idle power included: the power of the device's profile and, where
    the profile says so, energy per byte, which is taken when a transfer ends.
    """

    kind: Literal["battery"] = "battery"
    capacity: Annotated[float, Quantity("J", positive=True)]
    """Energy of a full battery, for instance `10 Wh`."""
    level: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the capacity that it holds at 0 s."""
    charging: Power = 0.0
    """Power that charges it all the time, for instance of a solar panel; without it, empty is for ever."""
    resume: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the capacity with which a client that ran empty comes back."""

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """There as far as time tells: the energy decides."""
        yield 0.0, True

    @property
    def battery(self) -> Battery:
        """Full, empty, and between."""
        return Battery(self.capacity, self.level * self.capacity, self.charging, self.resume * self.capacity)
