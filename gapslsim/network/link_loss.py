"""What a link asks of a loss: packets that do not come through, and what carrying them again costs.

Nothing is lost for the protocol of training: a transport or the link itself sends lost packets again, and messages
arrive later. A message that is lost as a whole is a `fault` of kind `loss`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from gapslsim.network.latency import Direction
from gapslsim.registry import Family, component

__all__ = ["LinkLoss", "PacketLoss", "Price", "link_losses"]


_PERCENT = r"\s*(\d+\.?\d*|\.\d+)\s*%\s*"


class Price(NamedTuple):
    """What losses cost one message."""

    delay_s: float = 0.0
    """Before its bits move."""
    cap_bit_per_s: float = float("inf")
    """The most bits of payload that pass in a second."""


class LinkLoss(ABC):
    """Settings of the losses of a link; a pydantic component."""

    @abstractmethod
    def of(self, direction: Direction) -> PacketLoss | None:
        """The loss of one direction; None for none."""


@component
class PacketLoss(LinkLoss):
    """Packets are lost each for itself, with one probability."""

    end_to_end: ClassVar[bool] = False
    """Whether the sender mends it, over the whole path, or each link for itself."""

    probability: Annotated[float, Field(gt=0, lt=1)]
    """Probability that a packet is lost, each for itself: 0.01 is 1 %."""

    def of(self, direction: Direction) -> PacketLoss:
        """The same both ways."""
        return self

    @property
    def carried_share(self) -> float:
        """Share of the link's rate that is left for what was not sent before."""
        return 1.0

    @abstractmethod
    def price(
        self, probability: float, size_bytes: float, round_trip_s: float, random: np.random.Generator
    ) -> Price:
        """What a message pays.

        Args:
            probability: of the loss of a packet on this link; over the whole path where it is mended end to end.
            size_bytes: of the message.
            round_trip_s: of this link, or of the whole path.
            random: of this link alone.
        """


def _shorthand(value: Any) -> Any:
    """`1 %` is what TCP makes of it, `{up: ..., down: ...}` is `per_direction`."""
    if isinstance(value, dict) and "kind" not in value and ("up" in value or "down" in value):
        return {"kind": "per_direction", **value}
    if isinstance(value, str) and (found := re.fullmatch(_PERCENT, value)):
        return {"kind": "tcp", "probability": float(found[1]) / 100}
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.match(r"[\s.\d]", value)):
        raise ValueError(f"found {value!r}; write a share of packets with its sign, for instance '1 %'")
    return value


link_losses: Family[LinkLoss] = Family(
    "link_loss",
    "gapslsim.network.losses",
    shorthand=_shorthand,
    short_schema={"type": "string", "pattern": rf"^{_PERCENT}$", "examples": ["1 %"]},
)
"""A field of this family reads `1 %` as `{kind: tcp, probability: 0.01}`."""
