"""GAS: buffered asynchronous split learning with generated activations."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.bounds import Width
from gapslsim.frameworks._merged import MergedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.rules.server_update.gas import GasUpdate
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import component

__all__ = ["Gas"]


@frameworks.register
@component
class Gas(MergedSplitLearning):
    """GAS: asynchronous SplitFed, a buffer of activations, and generated ones for labels that are seldom in it.

    Source: "GAS: Generative Activation-Aided Asynchronous Split Federated Learning", arXiv 2409.01251. The server steps
    when the buffer is full; what is generated, and what of the source is read or left out, the rule `gas` says.
    Client-side models are merged as in `async_sfl`.
    """

    kind: Literal["gas"] = "gas"
    buffer: PositiveInt = 2
    """Mini-batches of one step."""
    generated: Width = 16
    """Samples that are generated for each step."""
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Weight of what is known of a label from one step to the next."""

    @cached_property
    def server_rule(self) -> ServerUpdate:
        """The rule `gas` with these options."""
        return GasUpdate(generated=self.generated, memory=self.memory)
