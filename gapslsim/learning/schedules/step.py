"""A learning rate that falls by a factor every so many steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.learning.optimizer import Schedule, schedules
from gapslsim.registry import component

__all__ = ["StepSchedule"]


@schedules.register
@component
class StepSchedule(Schedule):
    """Factor gamma to the power of floor(step / every), as PyTorch's StepLR counted in optimizer steps."""

    kind: Literal["step"] = "step"
    every: PositiveInt
    """Optimizer steps between two drops."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the learning rate is multiplied by at each drop."""

    @property
    def reads_planned_steps(self) -> bool:
        """No."""
        return False

    def factor(self, step: int, planned_steps: int | None) -> float:
        """Needs no planned number of steps."""
        return float(self.gamma ** (step // self.every))
