"""What a node's computations take beside their cost: the overheads of its device that the scenario counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from gapslsim.clock_options import ClockOptions
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.overheads import Overheads

__all__ = ["NodeOverheads", "heated"]


class NodeOverheads:
    """Overheads of one node; it remembers when it last computed, how hot it is, and when its next batch is ready.

    Args:
        device: what its device spends beside computing.
        clock: what of it counts.
    """

    def __init__(self, device: Overheads, clock: ClockOptions) -> None:
        of_messages = clock.serialisation
        rate = _number(device.serialise_rate, math.inf, of_messages)
        self._byte_s, self._message_s = 1 / rate, _number(device.per_message, 0.0, of_messages)
        self.iteration_s = _number(device.per_iteration, 0.0, clock.per_iteration)
        """Of each mini-batch beside its passes [s]."""
        self._sample_s = _number(device.loading_per_sample, 0.0, clock.loading)
        self._workers = device.loading_workers if device.loading == "ahead" else 0
        self._busy_share = _number(device.background_load, 0.0, clock.background_load)
        self._cold = device.cold if clock.cold else None
        self._throttling = device.throttling if clock.throttling else None
        self._ended_s = 0.0
        self._heat_s = 0.0
        """Seconds of load that it has not recovered from."""
        self._batch_ready_s = 0.0
        self._cold_s = 0.0
        """Seconds of computing that are slow after the last wait."""

    @property
    def handles_messages(self) -> bool:
        """Whether messages take time on this node."""
        return self._byte_s > 0 or self._message_s > 0

    @property
    def loads(self) -> bool:
        """Whether samples take time."""
        return self._sample_s > 0

    def message_s(self, size_bytes: int) -> float:
        """Making a message ready, or taking it apart [s]."""
        return self._message_s + size_bytes * self._byte_s

    def loading_s(self, now_s: float, n_batches: int, n_samples: int, passes_s: float) -> float:
        """What is not hidden of loading mini-batches that are taken now [s]; the workers go on with the next.

        Args:
            now_s: when the first is wanted.
            n_batches: one after the other.
            n_samples: of all together.
            passes_s: what is computed with them.
        """
        each_s = n_samples / n_batches * self._sample_s
        if not self._workers:
            return n_batches * each_s
        each_s, step_s = each_s / self._workers, passes_s / n_batches
        if self._batch_ready_s == 0:  # The workers begin when the run does.
            self._batch_ready_s = each_s
        wait_s = max(0.0, self._batch_ready_s - now_s) + (n_batches - 1) * max(0.0, each_s - step_s)
        self._batch_ready_s = now_s + wait_s + (n_batches - 1) * step_s + each_s
        return wait_s

    def stretched_s(self, now_s: float, duration_s: float, warms: bool = True) -> float:
        """What a computation that begins now takes [s].

        Args:
            now_s: when.
            duration_s: on the idle, warm and cool device.
            warms: whether the computation after it is warm; not after a message alone, unless the profile says how
                much computing is slow.
        """
        duration_s /= 1 - self._busy_share
        idle_s, cold, hot = now_s - self._ended_s, self._cold, self._throttling
        if cold is not None:
            if idle_s > 0 and idle_s >= cold.after.value:
                self._cold_s = math.inf if cold.lasts is None else cold.lasts.value
            slow_s = min(duration_s, self._cold_s)
            self._cold_s = self._cold_s - slow_s if cold.lasts or not warms else 0.0
            duration_s += (cold.factor.value - 1) * slow_s
        if hot is not None:
            self._heat_s = max(0.0, self._heat_s - idle_s * hot.recovery)
            duration_s = heated(hot.slowing, self._heat_s, duration_s)
        return duration_s

    def computed(self, start_s: float, now_s: float) -> None:
        """Notes a computation that ends, or is broken off, now."""
        self._ended_s = now_s
        if self._throttling is not None:
            self._heat_s = min(self._heat_s + now_s - start_s, self._throttling.slowing[-1][0])


def heated(slowing: Sequence[tuple[float, float]], heat_s: float, work_s: float) -> float:
    """Time that work takes on a device that slows down meanwhile [s].

    At heat h it does 1/f(h) of its work per second, and h grows by one per second; f is linear between the rows, so
    that the time of w seconds of work is f(h) (exp(k w) - 1) / k where f has slope k.

    Args:
        slowing: rows (heat [s], factor on durations), ascending from heat 0.
        heat_s: at the beginning.
        work_s: duration on the cool device.
    """
    total_s = 0.0
    for (low, before), (high, after) in pairwise(slowing):
        if heat_s >= high:
            continue
        slope = (after - before) / (high - low)
        factor, left_s = before + slope * (heat_s - low), high - heat_s
        fits_s = math.log(after / factor) / slope if slope else left_s / factor
        if work_s <= fits_s:
            return total_s + (factor * math.expm1(slope * work_s) / slope if slope else factor * work_s)
        total_s, heat_s, work_s = total_s + left_s, high, work_s - fits_s
    return total_s + slowing[-1][1] * work_s


def _number(figure: Figure[float] | None, otherwise: float, counts: bool) -> float:
    return figure.value if figure is not None and counts else otherwise
