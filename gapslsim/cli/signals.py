"""Signals that ask a program to end do what Ctrl-C does: what is done so far is kept, and the exit code names them.

SIGTERM comes from Slurm, Docker, Kubernetes and systemd, SIGHUP from a terminal that is closed, SIGXCPU from a limit of
processor time, SIGUSR1 and SIGUSR2 from schedulers that warn before they kill (`sbatch --signal=USR1@60`, LSF, SGE).
A second one ends the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

__all__ = ["held_back", "interrupting"]

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1", "SIGUSR2")
_SHARE_OF_TIME: Final = 0.75
_MOST_TO_END_S: Final = 10
_ALL: Final = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class _Handler:
    """Raises KeyboardInterrupt at the first signal, or at the end of what must not be broken off."""

    def __init__(self) -> None:
        self.number = 0
        """Of the signal that came; 0 for none."""
        self.holds = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        if number == getattr(signal, "SIGHUP", None):
            _leave_terminal()
        for each in _ALL:
            if signal.getsignal(each) is self:
                # The kernel sends this one every second from the limit on.
                repeats = each == getattr(signal, "SIGXCPU", None)
                default = signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL
                signal.signal(each, signal.SIG_IGN if repeats else default)
        if not self.holds:
            raise KeyboardInterrupt


@contextmanager
def interrupting() -> Iterator[_Handler]:
    """Installs it for the time of the block; what is ignored (nohup) or handled by somebody else is let be."""
    handler = _Handler()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ALL:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, handler)
    _leave_time()
    try:
        yield handler
    finally:
        for number, one in before.items():
            signal.signal(number, one)


def _leave_time() -> None:
    """Has SIGXCPU come a little before a limit of processor time at which the kernel kills: `ulimit -t` sets both."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
        if hard != resource.RLIM_INFINITY and soft in (hard, resource.RLIM_INFINITY):
            early = int(max(_SHARE_OF_TIME * hard, hard - _MOST_TO_END_S))
            resource.setrlimit(resource.RLIMIT_CPU, (early, hard))


@contextmanager
def held_back() -> Iterator[None]:
    """A first signal takes effect after the block, which writes results."""
    handler = signal.getsignal(signal.SIGINT)
    if not isinstance(handler, _Handler):
        yield
        return
    handler.holds = True
    try:
        yield
    finally:
        handler.holds = False
    if handler.number:
        raise KeyboardInterrupt


def _leave_terminal() -> None:
    """Whoever wrote to a terminal that is gone would fail, and with it what is still to be kept."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and stream.isatty():
                os.dup2(nowhere, stream.fileno())
