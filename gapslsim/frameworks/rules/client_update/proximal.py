"""A client that is held near the shared initial weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeFloat

from gapslsim.frameworks.slots import client_updates
from gapslsim.learning.rules import ClientUpdate
from gapslsim.registry import component
from gapslsim.work import Cost, LayerCost

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ProximalClientUpdate"]


@client_updates.register
@component
class ProximalClientUpdate(ClientUpdate):
    """Adds mu/2 |w - w_0|^2 to the client's loss, w_0 being the initial weights that all clients share.

    The proximal term of FedProx (Li et al. 2020, arXiv 1812.06127), which pulls to the global model of the round; here
    there is no global client-side model, so it pulls to where all began.
    """

    kind: Literal["proximal"] = "proximal"
    mu: NonNegativeFloat = 0.01
    """Strength of the pull; 0 is `own`."""

    def adjust(
        self, gradients: tuple[Tensor, ...], parameters: tuple[Tensor, ...], initial: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Gradients of loss and pull: g + mu (w - w_0)."""
        return tuple(g + self.mu * (w - w0) for g, w, w0 in zip(gradients, parameters, initial, strict=True))

    def cost(self, n_parameters: int) -> Cost:
        """Three FLOP per parameter; reads three float32 numbers and writes one."""
        pull = LayerCost(
            "proximal", "optimizer/proximal", "update", 3 * n_parameters, 16 * n_parameters, n_parameters
        )
        return Cost((pull,))
