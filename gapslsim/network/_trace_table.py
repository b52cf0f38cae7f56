"""A trace in a CSV file: two of its columns, of the rows that are asked for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gapslsim.errors import did_you_mean
from gapslsim.network._trace_formats import FaultError, Point, number, shown, text_of
from gapslsim.units import parse_quantity

__all__ = ["table_points"]

_DAY_S = 86_400.0
_TIME = r"(\d{1,2}):(\d\d):(\d\d(?:[.,]\d+)?)"
_CLOCK = re.compile(_TIME)
_STAMP = re.compile(
    r"(\d{4}[-/.]\d\d[-/.]\d\d)[T _]+(\d\d)[:.](\d\d)(?:[:.](\d\d(?:[.,]\d+)?))?\s*(Z|[-+][\d:]+)?"
)


def table_points(
    path: Path,
    columns: tuple[str, str],
    units: tuple[str, str],
    where: Mapping[str, object],
    notes: list[str],
    quantity: str = "bit/s",
) -> Iterator[Point]:
    """Time and rate (or another quantity) of each row.

    Args:
        path: the file; cells are separated by commas, semicolons or tabs, whichever the first line has most of.
        columns: of time and rate: names of the header, or positions from 0 in a file without one. Times that are no
            numbers are read as clock times: ISO stamps, or HH:MM:SS, which may pass midnight.
        units: of time and rate.
        where: only rows that hold these values.
        notes: what a user should know is added.
        quantity: base unit of the second column.

    Raises:
        FaultError: names the line and the fix.
    """
    time_scale, rate_scale = parse_quantity(f"1 {units[0]}", "s"), parse_quantity(f"1 {units[1]}", quantity)
    text = text_of(path)
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count), strict=True)
    names = [*columns, *map(str, where)]
    header: Sequence[str] = (
        () if all(map(str.isdecimal, names)) else [name.strip() for name in next(rows, [])]
    )
    if not text.strip():
        raise FaultError("it is empty")
    time_at, rate_at, *wanted_at = _places(names, header)
    # A table whose columns are named as the scenario says is no file of another kind, and may be quoted.
    told = repr if header else shown
    clock, n_cells, n_found, n_empty = _Clock(time_scale, told), len(header), 0, 0
    held: dict[str, None] = {}
    for row in _sound(rows):
        line = rows.line_num
        n_cells = n_cells or len(row)
        if len(row) != n_cells or max(time_at, rate_at, *wanted_at, 0) >= n_cells:
            raise FaultError(f"has {len(row)} cells; {n_cells} are in the first line", line)
        if where:
            held.setdefault(" ".join(row[at].strip() for at in wanted_at))
            if not all(
                _same(row[at].strip(), value) for at, value in zip(wanted_at, where.values(), strict=True)
            ):
                continue
        n_found += 1
        time, rate = row[time_at].strip(), row[rate_at].strip()
        if not time or not rate:
            n_empty += 1
            continue
        yield Point(
            line,
            clock.seconds(time, line, names[0]),
            rate_scale * number(rate, line, f"column {names[1]!r}", told),
        )
    if where and not n_found:
        some = ", ".join([each if header else shown(each) for each in held][:8]) + (
            ", ..." if len(held) > 8 else ""
        )
        raise FaultError(f"no row has {', '.join(f'{k} {v!r}' for k, v in where.items())}; there are: {some}")
    if n_empty:
        notes.append(
            f"{n_empty} of {n_found} rows have an empty cell in {names[0]!r} or {names[1]!r} and are left out"
        )


def _sound(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Rows that are not blank."""
    try:
        yield from (row for row in rows if any(map(str.strip, row)))
    except csv.Error as error:
        raise FaultError(f"cannot be read: {error}", rows.line_num) from error  # type: ignore[attr-defined]


def _places(names: Sequence[str], header: Sequence[str]) -> list[int]:
    # Columns by number have no header; a file without any line has none either, and lacks all names.
    if all(map(str.isdecimal, names)):
        return [int(name) for name in names]
    for name in names:
        if header.count(name) != 1:
            how = "several columns" if name in header else "no column"
            raise FaultError(
                # Not which it has: a stranger's scenario may name a file of passwords, and errors are passed on.
                f"it has {how} {name!r} in its first line.{did_you_mean(name, header)}",
                1,
            )
    return [header.index(name) for name in names]


def _same(cell: str, wanted: object) -> bool:
    """Whether a cell holds a value, as text or as a number (`3` is in `3.0`)."""
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        try:
            return float(cell) == wanted
        except ValueError:
            return False
    return cell.casefold() == str(wanted).casefold()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Clock:
    """Reads a column of times: numbers in its unit, or clock times in seconds."""

    def __init__(self, scale: float, told: Callable[[str], str]) -> None:
        self._scale, self._told = scale, told
        self._days, self._before = 0, 0.0
        self._form = ""

    def seconds(self, text: str, line: int, column: str) -> float:
        """A time of the column; all of one form.

        Raises:
            FaultError: if it is no time, or one of another form than those before.
        """
        forms = {"clock time": _CLOCK, "date and time": _STAMP}
        form = next((name for name, pattern in forms.items() if pattern.fullmatch(text)), "number")
        if self._form and form != self._form and not (form == "number" and not _is_number(text)):
            raise FaultError(
                f"column {column!r} is {self._told(text)}, a {form} after a {self._form}; write all alike",
                line,
            )
        self._form = form
        if found := _CLOCK.fullmatch(text):
            hours, minutes, seconds = (float(part.replace(",", ".")) for part in found.groups())
            if hours > 24 or minutes >= 60 or seconds >= 61:
                raise FaultError(f"column {column!r} is {text!r}, which is no time of day", line)
            time_s = 3600 * hours + 60 * minutes + seconds
            # A clock that falls by more than half a day has passed midnight.
            self._days += time_s < self._before - _DAY_S / 2
            self._before = time_s
            return self._days * _DAY_S + time_s
        if found := _STAMP.fullmatch(text):
            day, hour, minute, second, zone = found.groups(default="")
            day, second = re.sub("[/.]", "-", day), (second or "00").replace(",", ".")
            try:
                stamp = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second}{zone}")
            except ValueError as error:
                raise FaultError(f"column {column!r} is {text!r}: {error}", line) from None
            # Stamps without a zone are taken as UTC: only differences count.
            return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
        return self._scale * number(text, line, f"column {column!r}", self._told)
