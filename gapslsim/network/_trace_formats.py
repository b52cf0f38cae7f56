"""Readers of the formats in which traces of rates are published; each gives points with their lines."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from gapslsim.documents import DocumentError, json_data
from gapslsim.regular_files import MOST_TEXT_BYTES, read_text
from gapslsim.units import BOUNDS

__all__ = [
    "LONGEST_S",
    "READERS",
    "FaultError",
    "Point",
    "check_times",
    "number",
    "packet_stamps",
    "shown",
    "text_of",
]


LONGEST_S: Final = BOUNDS["s"][1]
"""Of a trace."""


_SHORTEST_STEP_S: Final = 1e-6
_HARMLESS: Final = re.compile(
    r"(?=.{0,40}$)(|-|nan|null|none|true|false|n/?a|[-+]?inf(inity)?|"
    r"[-+]?\.?\d[-+\d.,:etz_/ ]*([kmgu]?(bit/s|b/s|bps|hz|s|b))?)",
    re.IGNORECASE,
)


class FaultError(ValueError):
    """What is wrong with a file, in words, and where."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.line = line
        """From 1; 0 for the whole file."""


class Point(NamedTuple):
    """A rate from a time on."""

    line: int
    """From 1; 0 where the file has no lines to speak of."""
    time_s: float
    rate_bit_per_s: float | None
    """None: the trace ends at this time."""


def text_of(path: Path) -> str:
    """What a file holds, without the mark that some programs put first (BOM)."""
    try:
        return read_text(path, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FaultError("it is no text in UTF-8; save it as such") from error
    except OSError as error:
        raise FaultError(f"it cannot be read: {error.strerror}") from error


def shown(text: str) -> str:
    """What an error tells of a cell: what looks like a number or a time, perhaps with a unit.

    Not any text: a stranger's scenario may name a file of passwords, and errors are passed on.
    """
    return repr(text) if _HARMLESS.fullmatch(text) else "a text"


def number(text: str, line: int, what: str, told: Callable[[str], str] = shown) -> float:
    """A finite number; `told` is how an error quotes the text."""
    try:
        value = float(text if "_" not in text else "")
    except ValueError:
        point = "; write a decimal point" if "," in text else ""
        raise FaultError(f"{what} is {told(text[:40])}, which is no number{point}", line) from None
    if not math.isfinite(value):
        raise FaultError(f"{what} is {text}, which is not finite; leave the line out", line)
    return value


def check_times(times_s: np.ndarray, duration_s: float) -> None:
    """Raises FaultError if a trace is too long for a clock, or has so short steps that time does not go on."""
    if not duration_s <= LONGEST_S:
        raise FaultError(
            f"it spans {duration_s:g} s; the most is {LONGEST_S:g} s: are the units of times right?"
        )
    if duration_s < _SHORTEST_STEP_S * len(times_s):
        raise FaultError(
            f"its {len(times_s)} steps take {duration_s:g} s; write a microsecond or more for each"
        )


def packet_stamps(path: Path) -> np.ndarray:
    """Mahimahi: one whole number of ms per line, an opportunity to deliver a packet; they must not fall [s]."""
    words = [(line, text.strip()) for line, text in enumerate(text_of(path).splitlines(), 1) if text.strip()]
    for line, word in words:
        if not (word.isascii() and word.isdecimal()):
            raise FaultError(f"is {shown(word)}; each line is one whole number of milliseconds", line)
        if len(word) > 30 or int(word) > 1e3 * LONGEST_S:
            raise FaultError(f"is {word[:40]}; a trace ends after {LONGEST_S:g} s at the latest", line)
    stamps = np.array([int(word) for _, word in words])
    falls = np.flatnonzero(np.diff(stamps) < 0)
    if len(falls):
        (_, before), (line, word) = words[falls[0]], words[falls[0] + 1]
        raise FaultError(f"is at {word} ms, after {before} ms; stamps must not fall: sort the file", line)
    if not len(stamps) or stamps[-1] == 0:
        raise FaultError("it has no delivery opportunity after time 0")
    return stamps / 1000


def _lines(per_second: float, bit_per_s: float, path: Path) -> Iterator[Point]:
    """Time and rate per line, each in a unit of its own."""
    for line, text in enumerate(text_of(path).splitlines(), 1):
        words = text.split()
        if not words:
            continue
        if len(words) != 2:
            raise FaultError(f"has {len(words)} values; each line is a time and a rate", line)
        time, rate = number(words[0], line, "the time"), number(words[1], line, "the rate")
        yield Point(line, time / per_second, bit_per_s * rate)


_SABRE: Final = frozenset(("duration_ms", "bandwidth_kbps"))


def _json(path: Path) -> Any:
    try:
        return json_data(text_of(path), MOST_TEXT_BYTES)
    except DocumentError as error:
        raise FaultError(str(error), error.line or 0) from error


def _amount(of: Any, key: str, place: str) -> float:
    """A number of a JSON object or list."""
    value = of.get(key) if isinstance(of, Mapping) else of
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        is_sabre = isinstance(of, Mapping) and not _SABRE.isdisjoint(of)
        held = f"; it has {', '.join(map(str, of))}" if is_sabre and key not in of else ""
        raise FaultError(f"{place} has the {key} {shown(str(value))}, which is no number{held}")
    return float(value)


def _sabre(path: Path) -> Iterator[Point]:
    periods = _json(path)
    if not isinstance(periods, list):
        raise FaultError("it is no list of {duration_ms, bandwidth_kbps}")
    time_s = 0.0
    for place, period in enumerate(periods):
        yield Point(0, time_s, 1e3 * _amount(period, "bandwidth_kbps", f"entry {place}"))
        duration_ms = _amount(period, "duration_ms", f"entry {place}")
        if duration_ms <= 0:
            raise FaultError(f"entry {place} has the duration_ms {duration_ms:g}; it must be more than 0")
        time_s += duration_ms / 1e3
    yield Point(0, time_s, None)


def _pantheon(path: Path) -> Iterator[Point]:
    data = _json(path)
    times, rates = (data.get(key) if isinstance(data, dict) else None for key in ("timestamps", "bandwidths"))
    if not isinstance(times, list) or not isinstance(rates, list):
        raise FaultError("it has no lists `timestamps` and `bandwidths`")
    if len(times) != len(rates):
        raise FaultError(f"it has {len(times)} timestamps and {len(rates)} bandwidths; each needs the other")
    for place, (time_s, rate) in enumerate(zip(times, rates, strict=True)):
        at = f"entry {place}"
        yield Point(0, _amount(time_s, "timestamp", at), 1e6 * _amount(rate, "bandwidth", at))


READERS: dict[str, Callable[[Path], Iterator[Point]]] = {
    "cooked": partial(_lines, 1.0, 1e6),
    "oboe": partial(_lines, 1e3, 1e3),
    "sabre": _sabre,
    "pantheon": _pantheon,
}
"""By format; `mahimahi` is packet stamps and `csv` a table, which are read in ways of their own."""
