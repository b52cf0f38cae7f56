"""What the event loop asks of a device: how long a computation takes, and what it draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gapslsim.hardware.overheads import Overheads
from gapslsim.work import Cost

__all__ = ["Device", "PowerStates"]


@dataclass(frozen=True, slots=True)
class PowerStates:
    """Power drawn by the whole device [W] in each state."""

    idle_w: float
    compute_w: float
    send_w: float
    receive_w: float
    send_j_per_bit: float = 0.0
    """What each bit takes on top of `send_w` [J/bit]; 0 where power does not depend on throughput."""
    receive_j_per_bit: float = 0.0
    tail_w: float = 0.0
    """Drawn for `tail_s` after the last bit of a transfer; `idle_w` or more where there is a tail."""
    tail_s: float = 0.0
    loading_w: float | None = None
    """While it waits for samples; as when it computes unless given."""

    def busy_w(self, operation: str) -> float:
        """Drawn while an operation holds the device."""
        if operation == "loading" and self.loading_w is not None:
            return self.loading_w
        return self.compute_w


class Device(ABC):
    """A kind of device with its figures; shared by all nodes of that kind."""

    name: str
    ram_bytes: float
    """Memory that a training process can use."""
    power: PowerStates
    overheads: Overheads = Overheads()
    """What it spends beside computing."""

    @abstractmethod
    def duration_s(self, cost: Cost) -> float:
        """Seconds that a computation takes without jitter; memoised by the identity of `cost`."""

    @abstractmethod
    def jitter(self, random: Callable[[], np.random.Generator]) -> Iterator[float]:
        """Positive factors of mean 1, one per computation; all exactly 1 (and no stream made) if it has no jitter.

        Args:
            random: makes the node's stream, from which the factors are drawn in order.
        """
