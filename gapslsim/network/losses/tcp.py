"""Losses as TCP takes them: it halves its window."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from gapslsim.network.link_loss import PacketLoss, Price, link_losses
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["Tcp"]


@link_losses.register
@component
class Tcp(PacketLoss):
    """One TCP connection (Reno): as fast as the path until the first loss, then at the rate of its steady state.

    The packet that is lost first is drawn (geometric); most short messages lose none and pay nothing. After it, a round
    trip passes until it has come again (fast retransmit), and what is left moves no faster than the formula says. So a
    transfer is divided as by Cardwell, Savage and Anderson, "Modeling TCP Latency" (INFOCOM 2000); unlike them the
    first loss is drawn, and slow start is the protocol's. CUBIC and BBR are faster on long, lossy paths.

    `pftk`: Padhye, Firoiu, Towsley and Kurose (SIGCOMM 1998), Eq. (30): segments per second
    1 / (R sqrt(2bp/3) + T0 min(1, 3 sqrt(3bp/8)) p (1 + 32 p^2)). `mathis`: Mathis, Semke, Mahdavi and Ott (CCR 27(3),
    1997): its first term alone, 1 / (R sqrt(2bp/3)), without timeouts.
    """

    end_to_end: ClassVar[bool] = True

    kind: Literal["tcp"] = "tcp"
    formula: Literal["pftk", "mathis"] = "pftk"
    """Rate of the steady state."""
    payload_bytes: Annotated[float, Field(gt=0)] = 1448
    """Payload of one segment."""
    acknowledged: Annotated[float, Field(ge=1)] = 2
    """b: segments that one acknowledgement answers (2: delayed acknowledgements)."""
    least_timeout: Seconds = 0.2
    """T0 is the round trip and this (Linux: 200 ms; RFC 6298 says 1 s)."""

    def price(
        self, probability: float, size_bytes: float, round_trip_s: float, random: np.random.Generator
    ) -> Price:
        """A cap that takes as long as what is left takes at the rate of the steady state, and one round trip."""
        n_segments = max(1, math.ceil(size_bytes / self.payload_bytes))
        first_lost = int(random.geometric(probability))
        if first_lost > n_segments:
            return Price()
        left = (n_segments - first_lost + 1) / n_segments
        return Price(round_trip_s, self.steady_bit_per_s(probability, round_trip_s) / left)

    def steady_bit_per_s(self, probability: float, round_trip_s: float) -> float:
        """Payload per second of a connection that lasts; infinite where nothing limits it."""
        p, b = probability, self.acknowledged
        per_segment_s = round_trip_s * math.sqrt(2 * b * p / 3)
        if self.formula == "pftk":
            timeout_s = round_trip_s + self.least_timeout
            per_segment_s += timeout_s * min(1.0, 3 * math.sqrt(3 * b * p / 8)) * p * (1 + 32 * p * p)
        return 8 * self.payload_bytes / per_segment_s if per_segment_s > 0 else math.inf
