"""Files of measured rates over time: readers of the common formats."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from gapslsim.errors import NetworkError
from gapslsim.units import parse_quantity

__all__ = ["Trace", "read_trace"]

_PACKET_BYTES = 1500
"""Bytes per delivery opportunity of a Mahimahi trace [netravali2015]."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Rates over time: each holds from its time until the next, the last one until `duration_s`."""

    times_s: tuple[float, ...]
    """From 0, strictly growing."""
    rates_bit_per_s: tuple[float, ...]
    duration_s: float

    @property
    def mean_bit_per_s(self) -> float:
        """Time-weighted mean."""
        ends = (*self.times_s[1:], self.duration_s)
        moved = sum(
            rate * (end - start)
            for start, end, rate in zip(self.times_s, ends, self.rates_bit_per_s, strict=True)
        )
        return moved / self.duration_s


@lru_cache(maxsize=256)
def read_trace(
    path: Path, form: str, bin_s: float, columns: tuple[str, str], units: tuple[str, str]
) -> Trace:
    """Reads a trace; cached, since many clients may share it.

    Args:
        path: the file.
        form: mahimahi, cooked, csv, oboe, sabre or pantheon.
        bin_s: mahimahi only: opportunities are counted over bins of this length.
        columns: csv only: those of time and rate; names of the header, or positions from 0 in a file without one.
        units: csv only: those of time and rate.

    Raises:
        NetworkError: if the file does not have this format; names the line.
    """
    try:
        if form == "mahimahi":
            return _mahimahi(path.read_text().split(), bin_s)
        if form == "csv":
            return _points(_csv(path, columns, units))
        return _points(_READERS[form](path))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise NetworkError(f"{path} is not a {form} trace: {error}") from error


def _mahimahi(words: list[str], bin_s: float) -> Trace:
    """Opportunities (one integer ms each, one packet each) as a rate per bin; the trace repeats after its last one."""
    stamps = [int(word) / 1000 for word in words]
    if not stamps or stamps[-1] <= 0:
        raise ValueError("it has no delivery opportunity after time 0")
    duration_s = stamps[-1]
    n_bins = math.ceil(duration_s / bin_s - 1e-9)
    counts = [0] * n_bins
    for stamp in stamps:
        counts[min(int(stamp / bin_s + 1e-9), n_bins - 1)] += 1
    widths = [bin_s] * (n_bins - 1) + [duration_s - (n_bins - 1) * bin_s]
    rates = [8 * _PACKET_BYTES * count / width for count, width in zip(counts, widths, strict=True)]
    return Trace(tuple(k * bin_s for k in range(n_bins)), tuple(rates), duration_s)


def _lines(per_second: float, bit_per_s: float, path: Path) -> Iterable[tuple[float, float]]:
    """Time and rate per line, each in a unit of its own."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words:
            yield float(words[0]) / per_second, bit_per_s * float(words[1])


def _sabre(path: Path) -> Iterable[tuple[float, float]]:
    time_s, rate = 0.0, 0.0
    for period in json.loads(path.read_text()):
        rate = 1e3 * period["bandwidth_kbps"]
        yield time_s, rate
        time_s += period["duration_ms"] / 1e3
    yield time_s, rate


def _pantheon(path: Path) -> Iterable[tuple[float, float]]:
    data = json.loads(path.read_text())
    for time_s, rate in zip(data["timestamps"], data["bandwidths"], strict=False):
        yield float(time_s), 1e6 * float(rate)


_READERS: dict[str, Callable[[Path], Iterable[tuple[float, float]]]] = {
    "cooked": partial(_lines, 1.0, 1e6),
    "oboe": partial(_lines, 1e3, 1e3),
    "sabre": _sabre,
    "pantheon": _pantheon,
}


def _csv(path: Path, columns: tuple[str, str], units: tuple[str, str]) -> Iterable[tuple[float, float]]:
    time_scale = parse_quantity(f"1 {units[0]}", "s")
    rate_scale = parse_quantity(f"1 {units[1]}", "bit/s")
    with path.open(newline="") as file:
        rows = csv.reader(file)
        if all(map(str.isdecimal, columns)):
            time_at, rate_at = map(int, columns)
        else:
            header = next(rows)
            for name in columns:
                if name not in header:
                    raise ValueError(f"it has no column {name!r}; its columns are {', '.join(header)}")
            time_at, rate_at = map(header.index, columns)
        for row in rows:
            if row and row[time_at] and row[rate_at]:
                yield time_scale * float(row[time_at]), rate_scale * float(row[rate_at])


def _points(points: Iterable[tuple[float, float]]) -> Trace:
    """Points as a trace from 0; the last one lasts as long as the one before. Of points at one time the last counts."""
    latest: dict[float, float] = {}
    before = -math.inf
    for time_s, rate in points:
        if not (math.isfinite(time_s) and math.isfinite(rate)) or rate < 0:
            raise ValueError(
                f"time {time_s!r} with rate {rate!r}: both must be finite, and the rate 0 or more"
            )
        if time_s < before:
            raise ValueError(f"time {time_s!r} comes after {before!r}; times must not fall")
        before = time_s
        latest[time_s] = rate
    if not latest:
        raise ValueError("it is empty")
    times = list(latest)
    shifted = tuple(time_s - times[0] for time_s in times)
    tail = shifted[-1] - shifted[-2] if len(shifted) > 1 else 1.0
    return Trace(shifted, tuple(latest.values()), shifted[-1] + tail)
