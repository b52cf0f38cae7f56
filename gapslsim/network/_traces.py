"""Measured rates over time: what a trace holds, and how points in a file become one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np

from gapslsim.errors import NetworkError
from gapslsim.network._trace_formats import READERS, FaultError, Point, check_times, packet_stamps
from gapslsim.network._trace_table import table_points
from gapslsim.units import BOUNDS

__all__ = ["Gaps", "Table", "Trace", "read_trace"]

_PACKET_BITS: Final = 8 * 1500
"""Of a delivery opportunity of a Mahimahi trace [netravali2015]."""
Gaps = Literal["hold", "zero", "skip"]
"""What holds in a gap: the rate before it, nothing, or the gap is cut out."""
_LEAST, _MOST = BOUNDS["bit/s"]
_GAP, _REGULAR = 1.5, 0.9
"""A gap is longer than so many usual steps, in a file of which at least this share of the steps is not."""


@dataclass(frozen=True, slots=True)
class Table:
    """Which cells of a CSV file are a trace."""

    columns: tuple[str, str]
    """Of time and rate: names of the header, or positions from 0 in a file without one."""
    units: tuple[str, str]
    """Of time and rate."""
    where: tuple[tuple[str, object], ...] = ()
    """Only rows that hold these values: (column, value)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Rates over time: each holds from its time until the next, the last one until `duration_s`."""

    times_s: tuple[float, ...]
    """From 0, strictly growing."""
    rates_bit_per_s: tuple[float, ...]
    duration_s: float
    notes: tuple[str, ...] = ()
    """What a user should know of the file."""

    @property
    def mean_bit_per_s(self) -> float:
        """Time-weighted mean."""
        steps = np.diff([*self.times_s, self.duration_s])
        return float(steps @ np.asarray(self.rates_bit_per_s)) / self.duration_s


def read_trace(path: Path, form: str, bin_s: float, table: Table, gaps: Gaps = "hold") -> Trace:
    """Reads a trace; kept as long as the file is the same, since many clients may share it.

    Args:
        path: the file.
        form: mahimahi, cooked, csv, oboe, sabre or pantheon.
        bin_s: mahimahi only: opportunities are counted over bins of this length.
        table: csv only.
        gaps: what holds where a regular file has no value for a while.

    Raises:
        NetworkError: if the file does not have this format; names the line.
    """
    return _read(path, path.stat().st_mtime_ns, form, bin_s, table, gaps)


@lru_cache(maxsize=256)
def _read(path: Path, changed_ns: int, form: str, bin_s: float, table: Table, gaps: Gaps) -> Trace:
    notes: list[str] = []
    try:
        if form == "mahimahi":
            return _replayed(packet_stamps(path), bin_s)
        if form == "csv":
            return _joined(
                table_points(path, table.columns, table.units, dict(table.where), notes), gaps, notes
            )
        return _joined(READERS[form](path), gaps, notes)
    except FaultError as fault:
        place = f"{path}:{fault.line}" if fault.line else str(path)
        raise NetworkError(
            f"{place} is not a {form} trace: {fault}{'' if str(fault)[-1] in '?.' else '.'}"
        ) from fault


def _replayed(stamps_s: np.ndarray, bin_s: float) -> Trace:
    """Delivery opportunities as a rate per bin; a packet has passed by the end of its bin, as near its stamp as can be.

    The trace repeats after its last opportunity, so that one at time 0 comes with the last one of the lap before.
    """
    duration_s = float(stamps_s[-1])
    n_bins = math.ceil(duration_s / bin_s - 1e-9)
    bins = np.ceil(stamps_s / bin_s - 1e-9).astype(int) - 1
    # Only bins that hold something, each with the one behind it: a stamp far away must not cost a bin per step.
    held, counts = np.unique(np.where(bins < 0, n_bins - 1, np.minimum(bins, n_bins - 1)), return_counts=True)
    shown = np.unique([0, *held, *(held + 1)])
    shown = shown[shown < n_bins]
    starts_s = shown * bin_s
    ends_s = np.where(shown + 1 < n_bins, (shown + 1) * bin_s, duration_s)
    rates = np.zeros(len(shown))
    rates[np.searchsorted(shown, held)] = _PACKET_BITS * counts
    rates /= ends_s - starts_s
    # Bins of one rate are one step: a link in use looks at every step.
    first = np.append(True, rates[1:] != rates[:-1])
    return Trace(tuple(starts_s[first].tolist()), tuple(rates[first].tolist()), duration_s)


def _joined(points: Iterable[Point], gaps: Gaps, notes: list[str]) -> Trace:
    """Points as a trace from 0; the last one lasts as long as the one before. Of points at one time the last counts."""
    latest: dict[float, tuple[float, int]] = {}
    before_s, end_s, n_again = -math.inf, None, 0
    for line, time_s, rate in points:
        if time_s < before_s:
            raise FaultError(
                f"the time {time_s:g} s comes after {before_s:g} s; times must not fall: sort the file, or choose "
                "one run of it with `where`",
                line,
            )
        before_s = time_s
        if rate is None:
            end_s = time_s
        elif rate != 0 and not _LEAST <= rate <= _MOST:
            raise FaultError(
                f"the rate is {rate:g} bit/s; it must be 0, or {_LEAST:g} to {_MOST:g} bit/s", line
            )
        else:
            n_again += time_s in latest
            latest[time_s] = rate, line
    if not latest:
        raise FaultError("it is empty")
    if n_again and end_s is None:
        notes.append(f"{n_again} rows have the time of the row before, whose rate they replace")
    times = np.array(list(latest))
    steps = np.diff(times)
    usual_s = float(np.median(steps)) if len(steps) else 1.0
    last_s = end_s - times[-1] if end_s is not None else float(steps[-1]) if len(steps) else 1.0
    rates = [rate for rate, _ in latest.values()]
    wide = np.flatnonzero(steps > _GAP * usual_s)
    if end_s is None and 0 < len(wide) <= (1 - _REGULAR) * len(steps):
        lines = [line for _, line in latest.values()]
        longest = wide[steps[wide].argmax()]
        notes.append(
            f"{len(wide)} gaps of more than {_GAP:g} times the usual {usual_s:g} s, the longest {steps[longest]:g} s "
            f"before line {lines[longest + 1]}; gaps: {gaps}. hold: the rate before, zero: nothing, skip: cut out"
        )
        times, rates = _bridged(times, rates, wide, usual_s, gaps)
    shifted = times - times[0]
    check_times(shifted, float(shifted[-1] + last_s))
    return Trace(tuple(shifted.tolist()), tuple(rates), float(shifted[-1] + last_s), tuple(notes))


def _bridged(
    times: np.ndarray, rates: list[float], wide: np.ndarray, usual_s: float, gaps: Gaps
) -> tuple[np.ndarray, list[float]]:
    """The points with their gaps cut out, or with nothing passing in them."""
    if gaps == "skip":
        cut = np.zeros(len(times))
        cut[wide + 1] = times[wide + 1] - times[wide] - usual_s
        return times - np.cumsum(cut), rates
    if gaps == "zero":
        return np.insert(times, wide + 1, times[wide] + usual_s), np.insert(rates, wide + 1, 0.0).tolist()
    return times, rates
