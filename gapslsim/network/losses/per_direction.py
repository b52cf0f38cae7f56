"""Other losses up than down."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from gapslsim.network.latency import Direction
from gapslsim.network.link_loss import LinkLoss, PacketLoss, link_losses
from gapslsim.registry import component

__all__ = ["PerDirection"]


@link_losses.register
@component
class PerDirection(LinkLoss):
    """A loss for each direction, or for one; `{up: 1 %, down: 2 %}` is short for it."""

    kind: Literal["per_direction"] = "per_direction"
    up: Annotated[LinkLoss, link_losses] | None = None
    """From a client towards the server; in a graph from the first node of `between` to the second."""
    down: Annotated[LinkLoss, link_losses] | None = None
    """Back."""

    @model_validator(mode="after")
    def _is_flat(self) -> PerDirection:
        for direction in ("up", "down"):
            if isinstance(getattr(self, direction), PerDirection):
                raise ValueError(f"{direction} is one direction; give it one loss")
        return self

    def of(self, direction: Direction) -> PacketLoss | None:
        """That of the direction."""
        loss = self.up if direction == "up" else self.down
        return None if loss is None else loss.of(direction)
