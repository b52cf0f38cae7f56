"""TCP as seen from far away: headers, connection set-up and slow start."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gapslsim.network.channel import Steps
from gapslsim.network.protocol import Protocol, protocols
from gapslsim.registry import component

__all__ = ["Tcp"]


@protocols.register
@component
class Tcp(Protocol):
    """Overheads of one TCP connection per message; no losses, no retransmissions, no queueing delay.

    Slow start (RFC 5681, section 3.1): a flow is capped at its window over the round-trip time, and the window
    doubles each round trip until the cap is above what the path can carry. Defaults are those of the ns-3 reference
    cases: 1448 bytes of payload in 1502 on the wire (12 timestamp option, 20 TCP, 20 IP, 2 PPP), 10 segments.
    """

    kind: Literal["tcp"] = "tcp"
    payload_bytes: Annotated[float, Field(gt=0)] = 1448
    """Payload of one segment."""
    wire_bytes: Annotated[float, Field(gt=0)] = 1502
    """The same segment with all headers."""
    set_up_round_trips: Annotated[float, Field(ge=0)] = 1.0
    """Round trips before the first byte leaves (1: SYN and SYN-ACK; 0: a connection that is kept open)."""
    slow_start: bool = True
    """Whether a flow's window has to grow."""
    initial_window: Annotated[float, Field(gt=0)] = 10
    """Segments sent in the first round trip (RFC 6928)."""

    @model_validator(mode="after")
    def _payload_fits(self) -> Tcp:
        if self.payload_bytes > self.wire_bytes:
            raise ValueError("payload_bytes must not be more than wire_bytes, which include it")
        return self

    @property
    def wire_share(self) -> float:
        """Wire bytes over payload bytes."""
        return self.wire_bytes / self.payload_bytes

    def set_up_s(self, round_trip_s: float) -> float:
        """Round trips of set-up."""
        return self.set_up_round_trips * round_trip_s

    def ramp(self, round_trip_s: float, capacity_bit_per_s: float) -> Steps | None:
        """Window over round-trip time, doubling; unlimited once above the path's capacity."""
        if not self.slow_start or round_trip_s <= 0:
            return None
        return self._windows(round_trip_s, capacity_bit_per_s)

    def _windows(self, round_trip_s: float, capacity_bit_per_s: float) -> Steps:
        rate = 8 * self.initial_window * self.wire_bytes / round_trip_s
        trip = 0
        while rate < capacity_bit_per_s and math.isfinite(rate):
            yield trip * round_trip_s, rate
            trip += 1
            rate *= 2
        yield trip * round_trip_s, math.inf
