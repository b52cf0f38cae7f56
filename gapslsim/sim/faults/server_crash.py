"""A server that crashes and starts again from its last checkpoint."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import PositiveInt

from gapslsim.registry import component
from gapslsim.sim._stays import Stays, in_turns
from gapslsim.sim.fault import Fault, ServerCrashes, faults
from gapslsim.units import Seconds

__all__ = ["ServerCrash"]


@faults.register
@component
class ServerCrash(Stays, Fault):
    """The training server crashes (`down` until it has started again) and goes on from its last checkpoint.

    Its weights, its optimizer and what its rule remembers are those of the checkpoint: later updates are lost. What it
    computed is begun again once it is back, and what was on its way to it or from it is sent again. Messages that had
    arrived are kept, as a message queue on disk keeps them.
    """

    kind: Literal["server_crash"] = "server_crash"
    checkpoint_every: PositiveInt = 1
    """Server steps from one checkpoint to the next; the initial weights are the first."""
    write: Seconds = 0.0
    """How long the server is held to write a checkpoint."""

    def server_crashes(self, random: np.random.Generator) -> ServerCrashes:
        """Up and down in turn, for ever."""
        return ServerCrashes(in_turns(self, random), self.checkpoint_every, self.write)
