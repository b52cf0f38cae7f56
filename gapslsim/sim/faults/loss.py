"""Messages that are lost."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.registry import component
from gapslsim.sim.fault import Fate, Fault, faults

__all__ = ["Loss"]

Probability = Annotated[float, Field(ge=0, le=1)]


@faults.register
@component
class Loss(Fault):
    """Whole messages are lost, each by itself, with a rate for each way, as in work on unstable participation.

    A lost message has taken the time and the energy of one that arrives. Its sender learns of it then, or by the
    time-out of `framework.lateness.retry`, and sends it again if that says so; else the client's part in the round is
    lost.
    """

    kind: Literal["loss"] = "loss"
    upload: Probability = 0.0
    """Share of the messages with smashed data that are lost; in a U-shape of gradients of features, too."""
    gradient: Probability = 0.0
    """Share of the messages with cut gradients that are lost; in a U-shape of features, too."""
    aggregation: Probability = 0.0
    """Share of the messages with weights that are lost: to the parameter server, from it, and between clients."""

    def fate(self, phase: str, random: np.random.Generator) -> Fate:
        """One draw per message of a way that can fail."""
        way = phase.removeprefix("feature_")
        rate = {"uplink": self.upload, "downlink": self.gradient}.get(way, self.aggregation)
        return "lost" if rate and random.random() < rate else "arrives"
