"""Losses that the link mends itself, packet by packet."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.network.link_loss import PacketLoss, Price, link_losses
from gapslsim.registry import component

__all__ = ["Resend"]


@link_losses.register
@component
class Resend(PacketLoss):
    """Selective repeat, as Wi-Fi and LTE do below IP: lost packets are sent again a round trip of the link later.

    It carries (1 - p) of its rate. A message of n packets is through after as many goes as the unluckiest packet
    needs, P(goes <= k) = (1 - p^k)^n: one number is drawn per message, and each go beyond the first takes a round trip.
    """

    kind: Literal["resend"] = "resend"
    packet_bytes: Annotated[float, Field(gt=0)] = 1500
    """What is lost or not as a whole."""

    @property
    def carried_share(self) -> float:
        """1 - p."""
        return 1 - self.probability

    def price(
        self, probability: float, size_bytes: float, round_trip_s: float, random: np.random.Generator
    ) -> Price:
        """Round trips of the goes beyond the first."""
        n_packets = max(1, math.ceil(size_bytes / self.packet_bytes))
        # The inverse of the distribution; expm1 and log keep it exact for many packets.
        missed = -math.expm1(math.log(1 - random.random()) / n_packets)
        goes = max(1, math.ceil(math.log(missed) / math.log(probability))) if missed > 0 else 1
        return Price(delay_s=(goes - 1) * round_trip_s)
