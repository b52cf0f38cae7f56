"""Messages that arrive damaged."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.registry import component
from gapslsim.sim.fault import Fate, Fault, faults

__all__ = ["Corruption"]


@faults.register
@component
class Corruption(Fault):
    """A message arrives damaged; the receiver's checksum finds it, and it is sent again at once, until it is whole."""

    kind: Literal["corruption"] = "corruption"
    rate: Annotated[float, Field(gt=0, lt=1)]
    """Share of the messages that arrive damaged, each by itself."""

    def fate(self, phase: str, random: np.random.Generator) -> Fate:
        """One draw per message."""
        return "corrupted" if random.random() < self.rate else "arrives"
