"""A client whose model never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gapslsim.frameworks.slots import client_updates
from gapslsim.learning.rules import ClientUpdate
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FrozenClientUpdate"]


@client_updates.register
@component
class FrozenClientUpdate(ClientUpdate):
    """Client-side models stay at their shared initial weights: no cut gradient, no backward pass.

    Not in [lin2026gapsl]; it shows how much of a result the clients' training accounts for.
    """

    kind: Literal["frozen"] = "frozen"

    @property
    def trains(self) -> bool:
        """No."""
        return False

    def adjust(
        self, gradients: tuple[Tensor, ...], parameters: tuple[Tensor, ...], initial: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Refuses: a frozen client makes no step at all.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("A frozen client has no gradient to adjust; check ClientUpdate.trains first.")
