"""Calls to one tracker, one after another in a thread of their own: a server that hangs or is dead holds nobody up."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from threading import Lock, Thread
from typing import Final

from gapslsim.tracking.tracker import Tracker

__all__ = ["Line"]

CALL_S: Final = 60.0
"""That one call may take; MLflow makes its tables in fifteen seconds on a busy machine."""
END_S: Final = 120.0
"""That is waited for what is left at the end."""
_FAILURES: Final = 2
"""Runs in a row that are not taken before nothing more is told."""


class Line:
    """To one tracker.

    Args:
        tracker: whose calls they are, for messages.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.is_dead = False
        """Whether nothing more is told."""
        self._calls: deque[Callable[[], None]] = deque()
        self._guard = Lock()
        self._works = False
        self._since = 0.0
        self._failures = 0

    def put(self, call: Callable[[], None]) -> None:
        """Adds a call; never waits. What it raises is its own affair: see `failed`."""
        if self.is_dead or self._hangs():
            return
        with self._guard:
            self._calls.append(call)
            begins, self._works = not self._works, True
        if begins:
            self._since = time.monotonic()
            Thread(target=self._work, daemon=True, name=f"tracker {self.tracker.kind}").start()

    def wait(self) -> None:
        """Until all is told, the tracker hangs, or time is up."""
        deadline_s = time.monotonic() + END_S
        while self._works and not self.is_dead and not self._hangs():
            if time.monotonic() > deadline_s:
                self.give_up(f"{len(self._calls)} calls were left after {END_S:.0f} s")
            time.sleep(0.005)

    def failed(self, run: str, error: BaseException) -> None:
        """A run that the tracker does not take is told; after two in a row it is left out."""
        self._failures += 1
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if self._failures < _FAILURES:
            sys.stderr.write(f"{self.tracker.kind} does not follow the run any more ({run}; {said}).\n")
        else:
            self.give_up(said)

    def took(self) -> None:
        """A run has been taken whole."""
        self._failures = 0

    def give_up(self, why: str) -> None:
        """Tells nothing more, and says so once."""
        if not self.is_dead:
            self.is_dead = True
            sys.stderr.write(
                f"{self.tracker.kind} is left out from here on ({why}). Nothing else is changed by that; a study "
                "that is swept again with --resume and --track tells it what it has not heard.\n"
            )

    def _hangs(self) -> bool:
        if self._works and time.monotonic() - self._since > CALL_S:
            self.give_up(f"it has not answered for {CALL_S:.0f} s")
        return self.is_dead

    def _work(self) -> None:
        while True:
            with self._guard:
                if self.is_dead or not self._calls:
                    self._works = False
                    return
                call = self._calls.popleft()
            self._since = time.monotonic()
            call()
