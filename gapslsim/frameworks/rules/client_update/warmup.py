"""Clients that train for a while and then stop, or that wait for a while and then train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from gapslsim.frameworks.rules.client_update.own import OwnClientUpdate
from gapslsim.frameworks.slots import client_updates
from gapslsim.learning.rules import ClientUpdate
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WarmupClientUpdate"]

_ROUNDING = 1e-9


@client_updates.register
@component
class WarmupClientUpdate(ClientUpdate):
    """Client-side models train in the first N rounds or epochs and are frozen afterwards, or the reverse.

    Not in [lin2026gapsl]; with `frozen` and `proximal` it shows how much of a result is drift of the client-side
    models. In a round in which they are frozen no cut gradient is sent and no backward pass is made, as with `frozen`.
    A learning-rate schedule of the clients is planned as if they trained in every round.
    """

    kind: Literal["warmup"] = "warmup"
    rounds: PositiveInt | None = None
    """N: the first part is rounds 1 to N. Give this or `epochs`."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """N in passes over the training data: the first part is the rounds that begin before N epochs are through."""
    then: Literal["frozen", "own"] = "frozen"
    """What clients do after the first part; in it they do the other. `frozen`: first train, then stay as they are.
    `own`: first stay at the shared initial weights while the server trains, then follow their own gradients."""
    upload: Literal["always", "once"] = "always"
    """What frozen clients send of a mini-batch: `always` all of it; `once` the samples that the server has not and from
    then on keeps. With `once` `client_sync` rests in rounds in which clients are frozen: with `average` in every
    round they are frozen at the last mean."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.rounds is None) == (self.epochs is None):
            found = "neither" if self.rounds is None else "both"
            raise ValueError(
                f"rounds or epochs must be given, found {found}; write for instance 'rounds: 50'."
            )
        return self

    def trains_in(self, round: int, epoch: float) -> bool:
        """Whether the round is in the part in which clients train."""
        if self.rounds is not None:
            is_first = round <= self.rounds
        else:
            assert self.epochs is not None
            # Epochs are sums of shares of the data, so that 3 may come out as 2.9999999999.
            is_first = epoch < self.epochs - _ROUNDING
        return is_first == (self.then == "frozen")

    @property
    def keeps(self) -> bool:
        """With `upload: once`."""
        return self.upload == "once"

    @property
    def adjusts_as(self) -> ClientUpdate:
        """A client's own gradient, whenever it trains."""
        return OwnClientUpdate()

    def adjust(
        self, gradients: tuple[Tensor, ...], parameters: tuple[Tensor, ...], initial: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Unchanged, in a round in which clients train."""
        return gradients
