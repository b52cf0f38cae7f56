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

    Not in [lin2026gapsl]; it shows how much of a result the clients' training accounts for. SplitFrozen (arXiv
    2503.18986) trains so.
    """

    kind: Literal["frozen"] = "frozen"
    upload: Literal["always", "once"] = "always"
    """What clients send of a mini-batch: `always` all of it; `once` the samples that the server has not. It keeps them,
    as all messages that have arrived, through a crash too. The training is the same; once the server has all samples a
    round costs the server alone. With `once` nothing is averaged (`client_sync`): all have the same weights."""

    @property
    def trains(self) -> bool:
        """No."""
        return False

    @property
    def keeps(self) -> bool:
        """With `upload: once`."""
        return self.upload == "once"

    def adjust(
        self, gradients: tuple[Tensor, ...], parameters: tuple[Tensor, ...], initial: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Refuses: a frozen client makes no step at all.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("A frozen client has no gradient to adjust; check ClientUpdate.trains first.")
