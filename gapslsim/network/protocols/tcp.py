"""TCP as seen from far away: headers, connection set-up and slow start."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from gapslsim.network.channel import Steps
from gapslsim.network.protocol import Protocol, protocols
from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["Tcp"]

_HEADER_BYTES: Final = {"none": 0, "ip": 52, "ppp": 54, "tc": 66, "ethernet": 90}
"""Beside the payload of a segment: IP (RFC 791) and TCP (RFC 9293) 20 each, timestamps 12 (RFC 7323); then PPP 2, or
Ethernet 14 as Linux counts it; on the cable also 4 of check sequence, 8 of preamble and 12 of gap (IEEE 802.3)."""


@protocols.register
@component
class Tcp(Protocol):
    """One TCP connection between two nodes, kept open: its window has to grow; losses are those of the links.

    Slow start (RFC 5681, section 3.1): a flow is capped at its window over the round-trip time. The window begins with
    10 segments (RFC 6928), grows with every segment sent, so doubles each round trip, until the cap is above what the
    path can carry. In silence it is halved with each timeout that passes, down to the 10 segments (RFC 2861;
    `tcp_slow_start_after_idle` of Linux).
    """

    kind: Literal["tcp"] = "tcp"
    headers: Literal["none", "ip", "ppp", "tc", "ethernet"] = "none"
    """What rates of links count beside payload. `none`: rates are what an application measures (iperf3, speed tests,
    traces of throughput); `tc`: the rate of a shaper (`tc tbf`, `netem rate`), 1448 bytes in 1514; `ethernet`: the
    nominal rate of a cable, 1448 in 1538; `ip`: 1448 in 1500; `ppp`: 1448 in 1502, as in the ns-3 cases."""
    payload_bytes: Annotated[float, Field(gt=0)] = 1448
    """Payload of one segment: 1500 less IP, TCP and timestamps; 1460 without timestamps."""
    wire_bytes: Annotated[float, Field(gt=0)] | None = None
    """The same segment with all headers, in place of what `headers` says."""
    set_up_round_trips: Annotated[float, Field(ge=0)] = 0.0
    """Round trips before the first byte leaves (1: SYN and SYN-ACK, a connection for each message)."""
    slow_start: bool = True
    """Whether a window has to grow."""
    initial_window: Annotated[float, Field(gt=0)] = 10
    """Segments sent in the first round trip (RFC 6928)."""
    least_timeout: Annotated[float, Quantity("s", positive=True)] = 0.2
    """A timeout is a round trip and this (Linux: 200 ms)."""

    @model_validator(mode="after")
    def _payload_fits(self) -> Tcp:
        if self.wire_bytes is not None and self.payload_bytes > self.wire_bytes:
            raise ValueError("payload_bytes must not be more than wire_bytes, which include it")
        return self

    @property
    def segment_bytes(self) -> float:
        """One segment on the wire."""
        return self.wire_bytes or self.payload_bytes + _HEADER_BYTES[self.headers]

    @property
    def wire_share(self) -> float:
        """Wire bytes over payload bytes."""
        return self.segment_bytes / self.payload_bytes

    def set_up_s(self, round_trip_s: float) -> float:
        """Round trips of set-up."""
        return self.set_up_round_trips * round_trip_s

    def window_left(
        self, sent_bytes: float, silent_s: float, round_trip_s: float, capacity_bit_per_s: float
    ) -> float:
        """Halved with each timeout of silence; at most what fills the path. 0 for a connection per message."""
        if self.set_up_round_trips > 0:
            return 0.0
        first = self.initial_window * self.segment_bytes
        window = min(first + sent_bytes, max(first, capacity_bit_per_s * round_trip_s / 8))
        n_halvings = min(int(silent_s / (round_trip_s + self.least_timeout)), 1000)
        return max(window / 2.0**n_halvings - first, 0.0)

    def ramp(self, round_trip_s: float, capacity_bit_per_s: float) -> Steps | None:
        """Window over round-trip time, doubling; unlimited once above the path's capacity."""
        return self.ramp_on(round_trip_s, capacity_bit_per_s, 0.0, math.inf)

    def ramp_on(
        self, round_trip_s: float, capacity_bit_per_s: float, grown_bytes: float, size_bytes: float
    ) -> Steps | None:
        """The same from a window that has grown; the window that takes the last of a message goes at once."""
        window = self.initial_window * self.segment_bytes + grown_bytes
        full = 8 * window / round_trip_s >= capacity_bit_per_s if round_trip_s > 0 else True
        if not self.slow_start or full or size_bytes <= window:
            return None
        return self._windows(round_trip_s, capacity_bit_per_s, window, size_bytes)

    @staticmethod
    def _windows(
        round_trip_s: float, capacity_bit_per_s: float, window_bytes: float, left_bytes: float
    ) -> Steps:
        trip = 0
        while 8 * window_bytes / round_trip_s < capacity_bit_per_s and left_bytes > window_bytes < math.inf:
            yield trip * round_trip_s, 8 * window_bytes / round_trip_s
            trip += 1
            left_bytes -= window_bytes
            window_bytes *= 2
        yield trip * round_trip_s, math.inf
