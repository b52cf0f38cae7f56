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

    def starts_anew(self, round_trip_s: float, silent_s: float) -> bool:
        """Whether a message begins as on a new connection, after one between the same two nodes.

        Args:
            round_trip_s: twice the latency of the path.
            silent_s: time since that ended.
        """
        return True

    def ramp_on(self, round_trip_s: float, capacity_bit_per_s: float, sent_bytes: float) -> Steps | None:
        """Caps of a message that does not start anew; see `ramp`.

        Args:
            round_trip_s: twice the latency of the path.
            capacity_bit_per_s: smallest capacity on the path now.
            sent_bytes: bytes on the wire since the connection last started anew.
        """
        return self.ramp(round_trip_s, capacity_bit_per_s)


protocols: Family[Protocol] = Family("protocol", "gapslsim.network.protocols")
"""A network's `protocol` field."""
