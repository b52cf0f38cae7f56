"""Stopwatch of a device, and which of its samples to keep."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

__all__ = ["Clock", "Kept", "MachineClock", "keep", "quantiles"]

_DISTURBED = 1.25
"""Times the fast samples, from which a sample counts as disturbed."""


class Clock(ABC):
    """Reads the time that a device has worked, and the time that passes."""

    @abstractmethod
    def now_s(self) -> float:
        """Time that the device has worked, when everything asked of it so far is done [s]."""

    @abstractmethod
    def wall_s(self) -> float:
        """Wall time [s], for budgets and to say how busy the machine is with other things."""

    def time(self, call: Callable[[], object]) -> float:
        """Seconds of one call."""
        start_s = self.now_s()
        call()
        return self.now_s() - start_s


class MachineClock(Clock):
    """The machine's own clock.

    With one thread on a CPU it is the processor time of this process: what other processes take in between is not in
    it, and where there are none it is the wall time, since nothing here waits. With more threads, and on a GPU (for
    which it waits, since CUDA and Metal work behind the caller's back), it is the wall time.

    Args:
        device: where tensors are computed.
        threads: inside each operation.
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        self._wait = _waiting(device)
        self.now_s = time.process_time if device.type == "cpu" and threads == 1 else self._waited_s  # type: ignore[method-assign]

    def now_s(self) -> float:  # replaced above, so that reading the time costs one call
        """See the base class."""
        raise NotImplementedError

    def wall_s(self) -> float:
        """See the base class."""
        return time.perf_counter()

    def _waited_s(self) -> float:
        self._wait()
        return time.perf_counter()


def _waiting(device: torch.device) -> Callable[[], object]:
    """What waits until a device, that very one where there are several, has done all that it was given."""
    if device.type == "cuda":
        return partial(torch.cuda.synchronize, device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


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
