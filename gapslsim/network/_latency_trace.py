"""Measured latencies over time: what a trace holds, read from a CSV file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from gapslsim.errors import NetworkError
from gapslsim.network._trace_formats import LONGEST_S, FaultError, check_times
from gapslsim.network._trace_table import table_points
from gapslsim.network._traces import Table

__all__ = ["LatencyTrace", "read_latencies"]


@dataclass(frozen=True, slots=True)
class LatencyTrace:
    """Delays over time: each holds from its time until the next, the last one until `duration_s`."""

    times_s: tuple[float, ...]
    """From 0, strictly growing."""
    delays_s: tuple[float, ...]
    duration_s: float

    @property
    def mean_s(self) -> float:
        """Time-weighted mean."""
        return float(np.diff([*self.times_s, self.duration_s]) @ np.asarray(self.delays_s)) / self.duration_s


def read_latencies(path: Path, table: Table) -> LatencyTrace:
    """Reads a trace; kept as long as the file is the same, since many clients may share it.

    Raises:
        NetworkError: if the file has no such columns, times that fall, or values that are no delays; names the line.
    """
    return _read(path, path.stat().st_mtime_ns, table)


@lru_cache(maxsize=64)
def _read(path: Path, changed_ns: int, table: Table) -> LatencyTrace:
    found: dict[float, float] = {}
    try:
        for line, time_s, delay_s in table_points(
            path, table.columns, table.units, dict(table.where), [], "s"
        ):
            if delay_s is None or not 0 <= delay_s <= LONGEST_S:
                raise FaultError(f"the latency is {delay_s!r} s; it must be 0 to {LONGEST_S:g} s", line)
            if found and time_s < next(reversed(found)):
                said = f"the time {time_s:g} s comes after {next(reversed(found)):g} s; times must not fall"
                raise FaultError(f"{said}: sort the file, or choose one run of it with `where`", line)
            found[time_s] = delay_s
        if not found:
            raise FaultError("it is empty")
        times = np.array(list(found)) - next(iter(found))
        last_s = float(times[-1] - times[-2]) if len(times) > 1 else 1.0
        check_times(times, float(times[-1]) + last_s)
    except FaultError as fault:
        place = f"{path}:{fault.line}" if fault.line else str(path)
        raise NetworkError(f"{place} is not a trace of latencies: {fault}.") from fault
    return LatencyTrace(tuple(times.tolist()), tuple(found.values()), float(times[-1]) + last_s)
