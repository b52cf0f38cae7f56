"""Losses as a lower rate."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.network.link_loss import PacketLoss, Price, link_losses
from gapslsim.registry import component

__all__ = ["Rate"]


@link_losses.register
@component
class Rate(PacketLoss):
    """The link carries (1 - p) of its rate: each packet is sent 1 / (1 - p) times on average, and nobody waits."""

    kind: Literal["rate"] = "rate"

    @property
    def carried_share(self) -> float:
        """1 - p."""
        return 1 - self.probability

    def price(
        self, probability: float, size_bytes: float, round_trip_s: float, random: np.random.Generator
    ) -> Price:
        """Nothing beside the rate."""
        return Price()
