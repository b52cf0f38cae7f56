"""A client that goes away at a given time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import model_validator

from gapslsim.registry import component
from gapslsim.sim.availability import Availability, availabilities
from gapslsim.units import Seconds

__all__ = ["Leave"]


@availabilities.register
@component
class Leave(Availability):
    """There until a time; from then on away, for ever or until it comes back."""

    kind: Literal["leave"] = "leave"
    at: Seconds
    """When it goes."""
    back: Seconds | None = None
    """When it comes back; never unless given. A server that waits for a client that never comes back is stalled."""

    @model_validator(mode="after")
    def _in_order(self) -> Leave:
        if self.back is not None and self.back <= self.at:
            raise ValueError(f"back ({self.back:g} s) must be later than at ({self.at:g} s)")
        return self

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """There, away, there again; draws nothing."""
        if self.at > 0:
            yield 0.0, True
        yield self.at, False
        if self.back is not None:
            yield self.back, True
