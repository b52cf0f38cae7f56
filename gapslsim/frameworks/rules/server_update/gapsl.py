"""The server's rule of GAPSL: a leader gradient, then only what points its way."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.rules.costs import gapsl_costs
from gapslsim.frameworks.rules.gapsl_options import GapslOptions
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.registry import component
from gapslsim.work import Cost

__all__ = ["GapslUpdate"]


@server_updates.register
@component
class GapslUpdate(GapslOptions, ServerUpdate):
    """GAPSL, Algorithms 1 (LGI) and 2 (GDA) of [lin2026gapsl]."""

    kind: Literal["gapsl"] = "gapsl"

    @property
    def second_order(self) -> bool:
        """With exact differentiation of Eq. (7)."""
        return self.gradient == "exact" and self.lambda_ > 0

    @property
    def sums_clients(self) -> bool:
        """As Eq. (8) is printed."""
        return self.reduction == "sum"

    @property
    def reads_blocks(self) -> bool:
        """Yes."""
        return True

    def decide(self, gradients: Gradients) -> Decision:
        """Leads, admits, updates: Eqs. (1) to (8).

        Raises:
            NumericalError: if a gradient is NaN or infinite.
            ScenarioError: if T is needed and unknown.
        """
        from gapslsim.frameworks.rules._gda import (
            admitted_clients,
            aligned_update,
            as_long_as_the_mean,
            fates_of,
            regularised_losses,
        )
        from gapslsim.frameworks.rules._lgi import identify_leader

        leader = identify_leader(self, gradients)
        admitted, threshold = admitted_clients(self, leader.angles, gradients.random)
        update, cut_terms = aligned_update(self, gradients, leader, admitted)
        if self.length == "mean":
            update = as_long_as_the_mean(update, gradients.matrix)
        return Decision(
            update=update,
            fates=fates_of(self, admitted),
            losses=regularised_losses(self, gradients.losses, leader.angles, admitted),
            state=leader.state,
            detail=leader.detail(admitted, threshold),
            cut_terms=cut_terms,
            updates_server=bool(admitted.any()),
        )

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """Gram matrix, leader, angles, correction, mean; without the Hessian products of `gradient: exact`."""
        return Cost(gapsl_costs(self, n_clients, n_parameters))
