"""A client that is there all the time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from gapslsim.registry import component
from gapslsim.sim.availability import Availability, availabilities

__all__ = ["Always"]


@availabilities.register
@component
class Always(Availability):
    """There from the beginning to the end."""

    kind: Literal["always"] = "always"

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """There at 0 s; draws nothing."""
        yield 0.0, True

    @property
    def never_changes(self) -> bool:
        """Yes."""
        return True
