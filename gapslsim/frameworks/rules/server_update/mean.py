"""The server's rule of PSL: the mean gradient."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.rules.costs import average_cost
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.registry import component
from gapslsim.work import Cost

__all__ = ["MeanUpdate"]


@server_updates.register
@component
class MeanUpdate(ServerUpdate):
    """PSL, Section II of [lin2026gapsl]: the mean of the clients' gradients, each client weighing the same."""

    kind: Literal["mean"] = "mean"

    @property
    def needs_client_gradients(self) -> bool:
        """Only their mean."""
        return False

    @property
    def reads_planned_rounds(self) -> bool:
        """No."""
        return False

    def decide(self, gradients: Gradients) -> Decision:
        """The mean; everyone trains."""
        return Decision(
            update=gradients.matrix.mean(0),
            fates=tuple("train" for _ in gradients.clients),
            losses=gradients.losses,
        )

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """The mean of S rows."""
        return Cost((average_cost(n_clients, n_parameters),))
