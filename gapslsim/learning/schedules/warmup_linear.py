"""A learning rate that rises linearly, then falls linearly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.learning.optimizer import Schedule, schedules
from gapslsim.learning.schedules import known_steps
from gapslsim.registry import component

__all__ = ["WarmupLinearSchedule"]


@schedules.register
@component
class WarmupLinearSchedule(Schedule):
    """Rises in `warmup` steps to 1, then falls in a straight line to `final` at the last planned step.

    The first step has 1/warmup, not 0, so that no step is lost. Past the planned steps it stays at `final`.
    """

    kind: Literal["warmup_linear"] = "warmup_linear"
    warmup: PositiveInt
    """Optimizer steps of the rise; step `warmup - 1` is the first with factor 1."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Factor at the end."""
    planned_steps: PositiveInt | None = None
    """Optimizer steps until the end; taken from the stop condition if not given."""

    def factor(self, step: int, planned_steps: int | None) -> float:
        """At `step`: (step + 1)/warmup, then 1 - (1 - final) (step - warmup)/(planned - warmup).

        Raises:
            ScenarioError: if the number of planned steps is unknown.
        """
        planned = known_steps(self.kind, self.planned_steps, planned_steps)
        if step < self.warmup:
            return (step + 1) / self.warmup
        fallen = min((step - self.warmup) / max(planned - self.warmup, 1), 1.0)
        return 1 - (1 - self.final) * fallen
