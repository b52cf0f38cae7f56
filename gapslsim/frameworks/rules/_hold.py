"""The server's rule of schedules that train before they answer: no step."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.learning.rules import Decision, Gradients
from gapslsim.registry import component
from gapslsim.work import NO_COST, Cost

__all__ = ["HoldUpdate"]


@component
class HoldUpdate(MeanUpdate):
    """The server stays as it is and gives each client its cut gradient."""

    kind: Literal["hold"] = "hold"  # type: ignore[assignment]

    @property
    def steps(self) -> bool:
        """No."""
        return False

    def decide(self, gradients: Gradients) -> Decision:
        """No step; everyone trains."""
        mean = super().decide(gradients)
        return Decision(update=mean.update, fates=mean.fates, losses=mean.losses, updates_server=False)

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """Nothing."""
        return NO_COST
