"""Stopwatch of a device, and which of its samples to keep."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

__all__ = ["Clock", "Kept", "MachineClock", "keep", "quantiles"]

_PREEMPTED = 1.05
"""Wall time over processor time from which a sample counts as preempted."""
_FAR_OUT = 5.0
"""Distance from the median, in scaled median absolute deviations, from which a sample is an outlier."""


class Clock(ABC):
    """Reads time on the device that computes."""

    @abstractmethod
    def now_s(self) -> float:
        """Wall time when everything asked of the device so far is done [s]."""

    @abstractmethod
    def busy_s(self) -> float | None:
        """Processor time of this process [s]; None where it cannot be compared to wall time."""

    def time(self, call: Callable[[], object]) -> tuple[float, bool]:
        """Seconds of one call, and whether another process took the processor away meanwhile."""
        busy_s, start_s = self.busy_s(), self.now_s()
        call()
        took_s, busy_after_s = self.now_s() - start_s, self.busy_s()
        if busy_s is None or busy_after_s is None:
            return took_s, False
        return took_s, took_s > _PREEMPTED * (busy_after_s - busy_s) + 1e-5


class MachineClock(Clock):
    """The machine's own clock.

    Args:
        device: waits for it before it reads the time (CUDA works behind the caller's back).
        threads: inside each operation; processor time says something with one thread on a CPU only.
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        self._is_cuda = device.type == "cuda"
        self._has_busy = device.type == "cpu" and threads == 1

    def now_s(self) -> float:
        """Wall time, after the device is done."""
        if self._is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def busy_s(self) -> float | None:
        """Processor time, for one thread on a CPU."""
        return time.process_time() if self._has_busy else None


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
    """Leaves out samples further than 5 scaled median absolute deviations (1.4826 MAD) above the median.

    Only slow ones: nothing but the work itself makes a sample fast.
    """
    middle = statistics.median(samples)
    spread = 1.4826 * statistics.median(abs(sample - middle) for sample in samples)
    limit = middle + max(_FAR_OUT * spread, 0.2 * middle)
    kept = tuple(sample for sample in samples if sample <= limit)
    return Kept(kept, len(samples) - len(kept))


def quantiles(samples: Sequence[float], n: int) -> list[float]:
    """At most `n` values that stand for the samples: their quantiles (i + 1/2) / n, in order."""
    ordered = sorted(samples)
    if len(ordered) <= n:
        return ordered
    return [ordered[int((index + 0.5) / n * len(ordered))] for index in range(n)]
