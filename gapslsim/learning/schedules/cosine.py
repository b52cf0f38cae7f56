"""A learning rate that falls along half a cosine."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.learning.optimizer import Schedule, schedules
from gapslsim.learning.schedules import known_steps
from gapslsim.registry import component

__all__ = ["CosineSchedule"]


@schedules.register
@component
class CosineSchedule(Schedule):
    """From 1 at step 0 to `final` at the last planned step, Eq. (5) of Loshchilov and Hutter 2017 (arXiv 1608.03983).

    Without restarts; past the planned steps it stays at `final`.
    """

    kind: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Factor at the end."""
    planned_steps: PositiveInt | None = None
    """Optimizer steps until the end; taken from the stop condition if not given."""

    def factor(self, step: int, planned_steps: int | None) -> float:
        """At `step`: final + (1 - final) (1 + cos(pi step / planned)) / 2.

        Raises:
            ScenarioError: if the number of planned steps is unknown.
        """
        planned = known_steps(self.kind, self.planned_steps, planned_steps)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(step / planned, 1.0))) / 2
