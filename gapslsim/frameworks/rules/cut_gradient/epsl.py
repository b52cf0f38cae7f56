"""A share of the last-layer gradients is averaged over clients and backpropagated once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.slots import cut_gradients
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

__all__ = ["EpslCutGradient"]


@cut_gradients.register
@component
class EpslCutGradient(CutGradient):
    """EPSL, Section IV-A of [lin2026gapsl]: the averaged part is broadcast, the rest is unicast."""

    kind: Literal["epsl"] = "epsl"
    phi: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of each mini-batch that is averaged; 0 is PSL. The source gives no value."""

    @property
    def shared_fraction(self) -> float:
        """Equals phi."""
        return self.phi

    @property
    def average(self) -> bool:
        """No."""
        return False
