"""The server's rule of the schedule `sum`: the sum of the gradients."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.learning.rules import Decision, Gradients
from gapslsim.registry import component

__all__ = ["SumUpdate"]


@component
class SumUpdate(MeanUpdate):
    """The sum of the clients' gradients; costs what their mean does."""

    kind: Literal["sum"] = "sum"  # type: ignore[assignment]

    @property
    def sums_clients(self) -> bool:
        """Yes."""
        return True

    def decide(self, gradients: Gradients) -> Decision:
        """The sum; everyone trains."""
        mean = super().decide(gradients)
        return Decision(update=mean.update * len(gradients.clients), fates=mean.fates, losses=mean.losses)
