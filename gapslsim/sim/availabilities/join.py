"""A client that comes at a given time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from gapslsim.registry import component
from gapslsim.sim.availability import Availability, availabilities
from gapslsim.units import Seconds

__all__ = ["Join"]


@availabilities.register
@component
class Join(Availability):
    """Away until a time; from then on there. It begins with the initial weights, as everyone does."""

    kind: Literal["join"] = "join"
    at: Seconds
    """When it comes."""

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """Away, there; draws nothing."""
        if self.at > 0:
            yield 0.0, False
        yield self.at, True
