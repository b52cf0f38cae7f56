"""Efficient parallel split learning: a share of the last-layer gradients is averaged and backpropagated once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

__all__ = ["Epsl"]


@frameworks.register
@component
class Epsl(ParallelSplitLearning):
    """EPSL: a share of each mini-batch is backpropagated once for all clients (Section IV-A of [lin2026gapsl]).

    The source does not state the share; here it is one half.
    """

    kind: Literal["epsl"] = "epsl"
    phi: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of each mini-batch whose last-layer gradients are averaged over the clients; 0 is PSL."""

    @property
    def cut_rule(self) -> CutGradient:
        """EPSL with this phi."""
        return CutGradient(shared_fraction=self.phi, scale=self.cut_scale)
