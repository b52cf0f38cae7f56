"""What a transport protocol adds to a message: bytes on the wire, round trips before the first byte, a slow start."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gapslsim.network.channel import Steps
from gapslsim.registry import Family

__all__ = ["Protocol", "protocols"]


class Protocol(ABC):
    """Settings of a transport protocol; a pydantic component. Without one, a message is its bytes and nothing else."""

    @property
    @abstractmethod
    def wire_share(self) -> float:
        """Bytes on the wire per byte of the message, 1 or more."""

    @abstractmethod
    def set_up_s(self, round_trip_s: float) -> float:
        """Time between submission and the departure of the first byte."""

    @abstractmethod
    def ramp(self, round_trip_s: float, capacity_bit_per_s: float) -> Steps | None:
        """Caps of a new flow as (time since it joined [s], rate [bit/s]), the first at 0; None: no cap.

        Args:
            round_trip_s: twice the latency of the path.
            capacity_bit_per_s: smallest capacity on the path now, at which a ramp may end.
        """

    def window_left(
        self, sent_bytes: float, silent_s: float, round_trip_s: float, capacity_bit_per_s: float
    ) -> float:
        """By how much the window of an open connection is still above that of a new one [bytes]; 0 by default.

        Args:
            sent_bytes: bytes on the wire that it has grown by.
            silent_s: time since the last message between the same two nodes ended.
            round_trip_s: of the path.
            capacity_bit_per_s: smallest capacity on the path now.
        """
        return 0.0

    def ramp_on(
        self, round_trip_s: float, capacity_bit_per_s: float, grown_bytes: float, size_bytes: float
    ) -> Steps | None:
        """Caps of a message of so many bytes on the wire, whose connection has such a window; see `ramp`."""
        return self.ramp(round_trip_s, capacity_bit_per_s)


protocols: Family[Protocol] = Family("protocol", "gapslsim.network.protocols")
"""A network's `protocol` field."""
