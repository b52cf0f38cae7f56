"""LocSplitFed: local losses, all smashed data sent, a server-side copy per client."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks._local_losses import LocalLosses
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.rules.server_schedule.copies import CopiesSchedule
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.registry import component

__all__ = ["LocSplitFed"]


@frameworks.register
@component
class LocSplitFed(LocalLosses):
    """Local-loss-based split training (Han, Bhatti, Lee, Moon: "Accelerating Federated Learning with Split Learning on
    Locally Generated Losses", ICML 2021 workshop on federated learning).

    Clients train their part and an auxiliary network on a local loss while the server trains a copy of its part for
    each client on all smashed data; all are averaged once per local epoch, by samples. Optimizers go on over an
    averaging. Known to us by its abstract and by what others (FSL-SAGE, CSE-FSL) say of it.
    """

    kind: Literal["locsplitfed"] = "locsplitfed"
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(
        default_factory=lambda: CopiesSchedule(every="epoch", weights="samples")
    )
    """`copies`: a server-side model for each client; `sequential`: one, stepped on in the order of arrival."""
