"""Stopwatch of a device, and which of its samples to keep."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Clock", "EventClock", "Kept", "MachineClock", "clock_of", "keep", "quantiles"]

_DISTURBED = 1.25
"""Times the fast samples, from which a sample counts as disturbed."""


class Clock(ABC):
    """Reads the time that a device has worked, and the time that passes."""

    @abstractmethod
    def now_s(self) -> float:
        """Time that the device has worked, when everything asked of it so far is done [s]."""

    def wall_s(self) -> float:
        """Wall time [s], for budgets and to say how busy the machine is with other things."""
        return time.perf_counter()

    def mark(self) -> Any:
        """A moment of the device's work, for `read`; nothing need wait for it."""
        return self.now_s()

    def read(self, marks: Sequence[Any]) -> list[float]:
        """Seconds of each mark, from a common beginning [s]; the last mark made comes last."""
        return list(marks)

    def time(self, call: Callable[[], object]) -> float:
        """Seconds of one call."""
        start = self.mark()
        call()
        start_s, end_s = self.read([start, self.mark()])
        return end_s - start_s


class MachineClock(Clock):
    """A CPU's own clock.

    With one thread it is the processor time of this process: what other processes take in between is not in it, and
    where there are none it is the wall time, since nothing here waits. With more threads it is the wall time.

    Args:
        threads: inside each operation.
    """

    def __init__(self, threads: int) -> None:
        self.now_s = time.process_time if threads == 1 else time.perf_counter  # type: ignore[method-assign]

    def now_s(self) -> float:  # replaced above, so that reading the time costs one call
        """See the base class."""
        raise NotImplementedError


class EventClock(Clock):
    """Events that a GPU notes in the course of its work.

    Waiting at every reading instead would add the launch of each layer to its time, and have the GPU stand idle before
    the next; so a pass is launched as in training, and waited for once, when its marks are read.

    Args:
        device: which GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_cuda = device.type == "cuda"

    def now_s(self) -> float:
        """See the base class; waits."""
        if self._is_cuda:
            torch.cuda.synchronize(self._device)
        else:
            torch.mps.synchronize()
        return time.perf_counter()

    def mark(self) -> Any:
        """See the base class."""
        event: Any = (torch.cuda.Event if self._is_cuda else torch.mps.event.Event)(enable_timing=True)
        # Several GPUs have a stream each, Apple's has one.
        event.record(*([torch.cuda.current_stream(self._device)] if self._is_cuda else []))
        return event

    def read(self, marks: Sequence[Any]) -> list[float]:
        """See the base class; waits once."""
        marks[-1].synchronize()
        return [marks[0].elapsed_time(mark) / 1e3 for mark in marks]


def clock_of(device: torch.device, threads: int) -> Clock:
    """The clock of a device of this machine, with so many threads inside each operation on a CPU."""
    return MachineClock(threads) if device.type == "cpu" else EventClock(device)


@dataclass(frozen=True)
class Kept:
    """Samples that count, and what was left out."""

    seconds: tuple[float, ...]
    n_outliers: int

    @property
    def median_s(self) -> float:
        """Median of what is kept."""
        return statistics.median(self.seconds)


def keep(samples: Sequence[float]) -> Kept:
    """Leaves out samples more than 25 % above the fast ones (their eighth from below).

    Nothing but the work itself makes a sample fast, much makes it slow: on a machine that others use too, caches
    and memory are shared, and most samples may be disturbed. On a quiet one all are kept.
    """
    limit = _DISTURBED * sorted(samples)[len(samples) // 8]
    kept = tuple(sample for sample in samples if sample <= limit)
    return Kept(kept, len(samples) - len(kept))


def quantiles(samples: Sequence[float], n: int) -> list[float]:
    """At most `n` values that stand for the samples: their quantiles (i + 1/2) / n, in order."""
    ordered = sorted(samples)
    if len(ordered) <= n:
        return ordered
    return [ordered[int((index + 0.5) / n * len(ordered))] for index in range(n)]
