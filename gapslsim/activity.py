"""What goes on over time: processes, and activities that can be waited for, with a limit or without, and cancelled.

The vocabulary is that of SimGrid's S4U. It names no event loop, so that frameworks can be written with it alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Activity", "Late", "Lost", "Mailbox", "Process"]

T = TypeVar("T")

Process = Generator[Any, Any, T]
"""Something that takes time and ends with a value; begun by `yield from`, or by a verb of the stage."""


@dataclass(frozen=True, slots=True)
class Late:
    """What `within` gives in place of a value that did not come in time."""

    limit_s: float
    """The time that was given [s]."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What `attempt` gives in place of a value that can never come."""

    why: str
    """In words: which client lost what, and when."""


class Activity(ABC, Generic[T]):
    """A process that goes on in the background.

    `yield from activity` waits for its value. A computation that is cancelled never happened; a transfer that is
    cancelled has moved the bytes that it moved. Both are recorded, with the time and the energy that they took.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it has ended with a value."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """Whether it was cancelled before it ended."""

    @property
    @abstractmethod
    def value(self) -> T:
        """What it ended with.

        Raises:
            ProtocolError: if it has not ended, or was cancelled.
        """

    @abstractmethod
    def wait(self, limit_s: float | None = None) -> Process[T | Late]:
        """Waits for the value; with a limit [s] for so long at most. The activity goes on in either case.

        Raises:
            ProtocolError: if it is, or is meanwhile, cancelled.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Ends it now; nothing happens if it has ended. An activity that cancels itself ends where it next waits."""

    def __iter__(self) -> Process[T]:
        """`yield from activity`: waits for the value without a limit."""
        return self.wait()  # type: ignore[return-value]


class Mailbox(ABC, Generic[T]):
    """Where values wait for one who takes them, in the order in which they were put; S4U's word."""

    __slots__ = ()

    @abstractmethod
    def put(self, value: T) -> None:
        """Leaves a value; takes no time."""

    @abstractmethod
    def take(self, n: int = 1) -> Process[list[T]]:
        """Waits until `n` values are there, and takes them. Cancelled while it waits, it takes none.

        Raises:
            ProtocolError: if somebody else waits already.
        """

    @abstractmethod
    def __len__(self) -> int:
        """How many wait."""
