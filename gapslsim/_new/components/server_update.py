"""A rule of the server of your own: what it makes of the clients' gradients."""

from __future__ import annotations

from typing import Literal

from gapslsim import FAMILIES, Cost, Decision, Gradients, LayerCost, ServerUpdate, component


@FAMILIES["server_update"].register
@component
class MyServerUpdate(ServerUpdate):
    """The mean of the clients' gradients."""

    kind: Literal["my_server_update"] = "my_server_update"

    def decide(self, gradients: Gradients) -> Decision:
        """`gradients.matrix` is float [S, d], a row per client. The same gradients give the same decision."""
        return Decision(
            update=gradients.matrix.mean(dim=0),
            fates=tuple("train" for _ in gradients.clients),
            losses=gradients.losses,
        )

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """FLOP and bytes moved, from shapes alone: a sum over S rows of d float32 numbers."""
        moved = (n_clients + 1) * n_parameters * 4
        return Cost((LayerCost("mean", "sum", "other", n_clients * n_parameters, moved),))
