"""Clients that crash while they compute."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.registry import component
from gapslsim.sim.fault import Crash, Fault, faults
from gapslsim.units import Seconds

__all__ = ["ClientCrash"]


@faults.register
@component
class ClientCrash(Fault):
    """A client crashes in the midst of a computation and is away until it has started again."""

    kind: Literal["crash"] = "crash"
    rate: Annotated[float, Field(gt=0, lt=1)]
    """Share of a client's computations in which it crashes, each by itself, at any moment of it."""
    restart: Seconds
    """How long it is away."""
    state: Literal["kept", "lost"] = "lost"
    """What it has afterwards, as for `availability`: `kept` if model and optimizer were saved, else `lost`."""

    def crash(self, random: np.random.Generator) -> Crash | None:
        """Two draws per computation, so that each has its own whatever the rate."""
        strikes, share = random.random(2).tolist()
        return Crash(share, self.restart, self.state == "lost") if strikes < self.rate else None
