"""Many inputs in one process, one after another: to fork one that has imported everything costs more than most take.

A process that has seen other inputs is not fresh. One that fails in it is therefore tried again in a process of its own
by whoever asks; what this says of a failure is that there may be one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, Generic, TypeVar

from tests.fuzz.sandbox import ASKED_S, LIMIT_S, Ending, confine, progress

__all__ = ["Shift"]

T = TypeVar("T")


class Shift(Generic[T]):
    """A process that tries inputs in turn.

    Args:
        cases: what it tries.
        carry_out: tries one there, and says how it ended.
    """

    ASKED: Final = "was asked to end"
    """Fault of what took long: whether it may is judged when it is tried by itself."""

    def __init__(self, cases: Sequence[T], carry_out: Callable[[T], Ending]) -> None:
        self._left = list(cases)
        self._carry_out = carry_out
        self._pid, self._pipe, self._text = 0, -1, b""
        self._start()

    @property
    def is_over(self) -> bool:
        """Whether all are tried and the process is gone: nothing of it is left behind."""
        return not (self._left or self._pid)

    def end(self) -> None:
        """Leaves the rest untried."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def look(self) -> list[tuple[T, Ending]]:
        """What has ended since it was last asked; a process that died or was ended is replaced for the rest."""
        ended = self._read()
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            ended += self._read()
            os.close(self._pipe)
            self._pid = 0
            if self._left:
                code = os.waitstatus_to_exitcode(status)
                died = Ending(f"ended its process with {code}", code, LIMIT_S, 0, "")
                ended.append((self._left.pop(0), died))
            if self._left:
                self._start()
            return ended
        if ended:
            if self._asked:
                case, last = ended[-1]
                ended[-1] = case, replace(last, fault=last.fault or self.ASKED)
            self._begin()
        elif self._left and (now := time.monotonic()) - self._looked > 0.1:
            self._bound(now)
        return ended

    def _begin(self) -> None:
        self._looked = self._since = time.monotonic()
        self._cpu_before = progress(self._pid)[0]
        self._cpu, self._waited, self._asked = self._cpu_before, 0.0, False

    def _bound(self, now: float) -> None:
        """Asks what takes long to end, then ends it."""
        cpu, sleeps = progress(self._pid)
        self._waited = self._waited + now - self._looked if sleeps and cpu - self._cpu < 0.02 else 0.0
        self._cpu, self._looked = cpu, now
        spent = cpu - self._cpu_before
        if spent > ASKED_S and not self._asked:
            os.kill(self._pid, signal.SIGTERM)
            self._asked = True
        if spent > LIMIT_S + ASKED_S or self._waited > LIMIT_S:
            os.kill(self._pid, signal.SIGKILL)

    def _read(self) -> list[tuple[T, Ending]]:
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._pipe, 1 << 16):
                self._text += part
        *lines, self._text = self._text.split(b"\n")
        told: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [(self._left.pop(0), Ending(**each)) for each in told]

    def _start(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._pipe, tell = os.pipe()
        os.set_blocking(self._pipe, False)
        self._pid = os.fork()
        if self._pid:
            os.close(tell)
            self._begin()
            return
        try:
            # Asked to end while it makes an input ready, it would; `Running.here` listens while a command runs.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            confine()
            for case in self._left:
                line = json.dumps(asdict(self._carry_out(case))).encode() + b"\n"
                while line:
                    line = line[os.write(tell, line) :]
        finally:
            os._exit(0)
