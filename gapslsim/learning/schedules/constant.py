"""A learning rate that stays."""

from __future__ import annotations

from typing import Literal

from gapslsim.learning.optimizer import Schedule, schedules
from gapslsim.registry import component

__all__ = ["ConstantSchedule"]


@schedules.register
@component
class ConstantSchedule(Schedule):
    """The same learning rate at every step."""

    kind: Literal["constant"] = "constant"

    @property
    def reads_planned_steps(self) -> bool:
        """No."""
        return False

    def factor(self, step: int, planned_steps: int | None) -> float:
        """One."""
        return 1.0
