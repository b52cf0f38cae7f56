"""One step of the server on the sum of the gradients."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.rules._sum import SumUpdate
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import component

__all__ = ["SumSchedule"]


@server_schedules.register
@component
class SumSchedule(ServerSchedule):
    """One step on the sum of the gradients: S times as long as that on their mean, as in Eq. (8) of [lin2026gapsl]."""

    kind: Literal["sum"] = "sum"

    def rule(self, rule: ServerUpdate) -> ServerUpdate:
        """The sum."""
        return SumUpdate()
