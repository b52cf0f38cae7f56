"""Mailboxes inside the event loop."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

import simpy

from gapslsim.activity import Mailbox, Process
from gapslsim.errors import ProtocolError

__all__ = ["SimulatedMailbox"]

T = TypeVar("T")


class SimulatedMailbox(Mailbox[T]):
    """A mailbox whose taker goes on at the instant at which the last value that it wants is put."""

    __slots__ = ("_awaited", "_env", "_missing", "_values")

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._values: deque[T] = deque()
        self._awaited: simpy.Event | None = None
        self._missing = 0

    def put(self, value: T) -> None:
        """See the base class."""
        self._values.append(value)
        self._missing -= 1
        if self._awaited is not None and self._missing == 0:
            self._awaited.succeed()

    def take(self, n: int = 1) -> Process[list[T]]:
        """See the base class."""
        if self._awaited is not None:
            raise ProtocolError(
                "Somebody waits at this mailbox already; give each who takes a mailbox of its own."
            )
        if len(self._values) < n:
            self._missing = n - len(self._values)
            self._awaited = self._env.event()
            try:
                yield self._awaited
            finally:
                self._awaited = None
        return [self._values.popleft() for _ in range(n)]

    def __len__(self) -> int:
        """See the base class."""
        return len(self._values)
