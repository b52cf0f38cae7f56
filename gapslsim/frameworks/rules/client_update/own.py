"""A client follows its own gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gapslsim.frameworks.slots import client_updates
from gapslsim.learning.rules import ClientUpdate
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OwnClientUpdate"]


@client_updates.register
@component
class OwnClientUpdate(ClientUpdate):
    """The gradient as it is."""

    kind: Literal["own"] = "own"

    def adjust(
        self, gradients: tuple[Tensor, ...], parameters: tuple[Tensor, ...], initial: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Unchanged."""
        return gradients
