"""What is a little stale counts in full, the rest less and less."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from gapslsim.frameworks.staleness import Staleness, stalenesses
from gapslsim.registry import component

__all__ = ["Hinge"]


@stalenesses.register
@component
class Hinge(Staleness):
    """1 up to s = b, then 1 / (a (s - b) + 1), Section 5.2 of Xie et al., arXiv 1903.03934."""

    kind: Literal["hinge"] = "hinge"
    a: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """How steeply it falls."""
    b: NonNegativeInt = 4
    """Staleness up to which it counts in full."""

    def function(self, staleness: int) -> float:
        """The hinge."""
        return 1.0 if staleness <= self.b else 1.0 / (self.a * (staleness - self.b) + 1.0)
