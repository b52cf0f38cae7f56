"""The staler, the less it counts: a power."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.staleness import Staleness, stalenesses
from gapslsim.registry import component

__all__ = ["Polynomial"]


@stalenesses.register
@component
class Polynomial(Staleness):
    """A weight of (s + 1)^-a, Section 5.2 of Xie et al., "Asynchronous Federated Optimization", arXiv 1903.03934."""

    kind: Literal["polynomial"] = "polynomial"
    a: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Exponent."""

    def function(self, staleness: int) -> float:
        """The power."""
        return float((staleness + 1) ** -self.a)
