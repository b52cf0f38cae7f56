"""The server's rule of Non-GDA: the leader gradient alone."""

from __future__ import annotations

import math
from typing import Literal

from gapslsim.frameworks.rules.costs import leader_costs
from gapslsim.frameworks.rules.gapsl_options import LeaderOptions
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.registry import component
from gapslsim.work import Cost

__all__ = ["LeaderUpdate"]


@server_updates.register
@component
class LeaderUpdate(LeaderOptions, ServerUpdate):
    """Non-GDA, Section IV of [lin2026gapsl]: the server follows the leader gradient; no admission, no regulariser.

    Every client trains with its own cut gradient (our reading). With `leader: single` it is the study of Fig. 5, with
    `leader: fixed_ratio` that of Fig. 8.
    """

    kind: Literal["leader"] = "leader"

    @property
    def reads_blocks(self) -> bool:
        """Yes."""
        return True

    def decide(self, gradients: Gradients) -> Decision:
        """The leader gradient, Eqs. (1) to (4).

        Raises:
            NumericalError: if a gradient is NaN or infinite.
            ScenarioError: if T is needed and unknown.
        """
        import torch

        from gapslsim.frameworks.rules._lgi import identify_leader

        leader = identify_leader(self, gradients)
        everyone = torch.ones_like(leader.leaders)
        return Decision(
            update=leader.gradient().to(gradients.matrix.dtype),
            fates=tuple("train" for _ in gradients.clients),
            losses=gradients.losses,
            state=leader.state,
            detail=leader.detail(everyone, math.nan),
        )

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """Gram matrix and leader."""
        return Cost(leader_costs(self, n_clients, n_parameters))
