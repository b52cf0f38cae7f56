"""Parallel split learning with every slot open."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.slots import cut_gradients, server_updates
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
    cut_gradient: Annotated[CutGradient, cut_gradients] = Field(
        default_factory=lambda: cut_gradients["own"]()
    )
    """Which gradient at the cut layer a client gets."""

    @property
    def server_rule(self) -> ServerUpdate:
        """As chosen."""
        return self.server_update

    @property
    def cut_rule(self) -> CutGradient:
        """As chosen."""
        return self.cut_gradient
