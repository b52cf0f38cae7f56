"""One step of the server for all mini-batches of a round."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.registry import component

__all__ = ["MeanSchedule"]


@server_schedules.register
@component
class MeanSchedule(ServerSchedule):
    """One step by the framework's rule: on the mean gradient, unless a rule says otherwise ([lin2026gapsl])."""

    kind: Literal["mean"] = "mean"
