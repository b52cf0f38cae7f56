"""What the event loop asks of a network: move bytes from one node to others, and say when they have arrived."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import simpy

__all__ = ["Airtime", "LinkUseFields", "LinkUseRow", "Network", "StuckTransfer", "Transfer"]


@dataclass(eq=False, slots=True)
class Airtime:
    """When the bits of a message move at one of its ends: what its radio is charged for."""

    since_s: float | None = None
    """When the first began to move; None while latency and connection set-up go on."""
    until_s: float | None = None
    """When the last had moved."""
    listeners: list[Callable[[bool], None]] = field(default_factory=list)
    """Called with True when they begin to move, with False when all have."""

    def begins(self, now_s: float) -> None:
        """The first bit moves."""
        self.since_s = now_s
        for tell in self.listeners:
            tell(True)

    def ends(self, now_s: float) -> None:
        """The last bit has moved."""
        self.until_s = now_s
        for tell in self.listeners:
            tell(False)

    def length_s(self, now_s: float) -> float:
        """How long bits have moved up to now [s]."""
        if self.since_s is None:
            return 0.0
        return (now_s if self.until_s is None else self.until_s) - self.since_s


@dataclass(eq=False, slots=True)
class Transfer:
    """A message on its way. `done` succeeds with this object when the last byte is at the receiver.

    A cancelled transfer's `done` never fires; `moved_bytes` then says how far it came.
    """

    source: str
    targets: tuple[str, ...]
    size_bytes: float
    submitted_s: float
    done: simpy.Event
    moved_bytes: float = 0.0
    finished_s: float | None = None
    sending: Airtime = field(default_factory=Airtime)
    """Of the source: over the first stretch of the way, where a broadcast is cut into several."""
    receiving: Airtime = field(default_factory=Airtime)
    """Of the target: over the last stretch."""


class StuckTransfer(NamedTuple):
    """A transfer that does not move."""

    source: str
    target: str
    rest_bytes: float
    link: str
    """The link whose rate is 0."""
    since_s: float
    """When it was submitted."""


class LinkUseRow(NamedTuple):
    """Load of one link over one interval of constant load."""

    link: str
    """Name of the link."""
    start_s: float
    end_s: float
    rate_bit_per_s: float
    """Sum of the rates of its flows."""
    capacity_bit_per_s: float
    """What it can carry."""
    n_flows: int
    """Transfers on the link."""


LinkUseFields = tuple[str, float, float, float, float, int]
"""The fields of a `LinkUseRow`, in order."""


class Network(ABC):
    """Moves bytes between named nodes inside a SimPy environment."""

    @abstractmethod
    def send(self, source: str, target: str, size_bytes: float) -> Transfer:
        """Submits a message now: it pays the latency of its path, then shares the links of its path.

        Zero bytes pay the latency only. A node sends to itself at once.

        Raises:
            NetworkError: if there is no route.
        """

    @abstractmethod
    def broadcast(self, source: str, targets: Sequence[str], size_bytes: float) -> Sequence[Transfer]:
        """Submits one message to many targets, one `Transfer` per target in the order of `targets`.

        A link that several targets have in common carries the message once (the network says how).
        """

    @abstractmethod
    def cancel(self, transfer: Transfer) -> None:
        """Ends a transfer that is under way; its `moved_bytes` are final."""

    def stuck(self) -> Sequence[StuckTransfer]:
        """Transfers that do not move now, in the order of submission; a network that cannot tell has none."""
        return ()

    @property
    @abstractmethod
    def link_use(self) -> Iterable[LinkUseFields]:
        """Load of every link over time, closed up to now: the rows of `links.parquet`, as plain tuples."""
