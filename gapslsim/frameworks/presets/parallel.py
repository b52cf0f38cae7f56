"""Parallel split learning with every slot open."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import CutGradient, ServerUpdate
from gapslsim.registry import component

__all__ = ["Parallel"]


@frameworks.register
@component
class Parallel(ParallelSplitLearning):
    """The protocol with a rule of your choice in each slot; with nothing chosen it is PSL."""

    kind: Literal["parallel"] = "parallel"
    server_update: Annotated[ServerUpdate, server_updates] = Field(
        default_factory=lambda: server_updates["mean"]()
    )
    """From the clients' gradients to the server's update."""
    cut_gradient: Literal["own", "mean"] = "own"
    """Which gradient at the cut layer a client gets: that of its own loss, or the mean over the clients, sample by
    sample, by broadcast. The mean is not in [lin2026gapsl]."""
    phi: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of each mini-batch whose last-layer gradients are averaged over the clients and backpropagated once, as in
    EPSL; 0 for none."""

    @property
    def server_rule(self) -> ServerUpdate:
        """As chosen."""
        return self.server_update

    @property
    def cut_rule(self) -> CutGradient:
        """As chosen."""
        average = self.cut_gradient == "mean"
        return CutGradient(shared_fraction=self.phi, average=average, scale=self.cut_scale)
