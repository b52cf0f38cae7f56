"""Reads a measurement table; every bad row is named with its row, column, value and fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from gapslsim.calibration._cells import cells
from gapslsim.calibration._columns import COLUMNS, REQUIRED, TIME_UNITS, TIMES
from gapslsim.calibration._rows import row_problems
from gapslsim.csv_text import originals
from gapslsim.errors import ComponentError, GapslsimError, Problem, did_you_mean
from gapslsim.regular_files import is_file
from gapslsim.unpacking import check_parquet, parquet_frame, unpacked

__all__ = ["MeasurementTable", "TableError", "load_table", "read_table"]

_SHOWN = 40
_DROP = "Correct these rows, or leave them out with --drop-bad."


class TableError(GapslsimError):
    """A table of measurements that cannot be used; lists the problems by row and column.

    Args:
        problems: at least one.
        fix: what can be done about all of them, if there is such a thing.
    """

    exit_code = 2

    def __init__(self, problems: Iterable[Problem], fix: str = "") -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"... and {len(self.problems) - _SHOWN} more.")
        super().__init__("\n".join([*lines, *([fix] if fix else [])]))


@dataclass(frozen=True)
class MeasurementTable:
    """A checked table."""

    compute: pd.DataFrame
    """Rows of computations, in base units, phase and kind as given; index is the row in the file."""
    links: pd.DataFrame
    """Rows of links."""
    source: str
    """Name of the file."""
    dropped: tuple[Problem, ...] = ()
    """Rows that were left out, with the reason."""


def read_table(
    path: Path, drop_bad: bool = False, chosen: Mapping[str, object] = MappingProxyType({})
) -> MeasurementTable:
    """Reads a CSV or parquet table.

    Args:
        path: the file; `.csv`, `.csv.gz` or `.parquet`.
        drop_bad: leave bad rows out instead of refusing the table; wrong columns are refused in any case.
        chosen: values that the wanted rows have, by column; rows that have others are not looked at.

    Raises:
        TableError: on a file that cannot be read, wrong columns, or bad rows; lists all of them. Rows are
            numbered as in a text editor: the header is row 1.
        ComponentError: if no row has a chosen value.
    """
    return check_table(load_table(path), str(path), drop_bad, chosen)


def check_table(
    raw: pd.DataFrame,
    source: str,
    drop_bad: bool = False,
    chosen: Mapping[str, object] = MappingProxyType({}),
) -> MeasurementTable:
    """The same from a table in memory; see `read_table`."""
    frame, problems = _columns(raw, source)
    if problems:
        raise TableError(problems)
    if frame.empty:
        raise TableError([Problem("", "has no rows; add one per measurement", source)])
    read, bad = cells(frame, source)
    read = _wanted(read, chosen, source)
    bad = [problem for problem in bad if problem.line in read.index]
    bad += row_problems(read, source)
    # the first problem of a cell explains it; what follows from it is left away
    found = {(problem.line, problem.path): problem for problem in reversed(bad)}
    bad = sorted(found.values(), key=lambda problem: problem.line or 0)
    if bad and not drop_bad:
        raise TableError(bad, _DROP)
    rows = {problem.line for problem in bad}
    wrong = read.index.to_series().isin(rows)
    # A part of a sample that was timed together is of no use without the others.
    lost = wrong.groupby([read.device, read["sample"]]).transform("any") & (read["sample"] != "")
    good = read[~wrong & ~lost]
    if good.empty:
        nothing = Problem("", "no good row is left; measure again", source)
        raise TableError([*bad, nothing], _DROP if bad else "")
    is_link = good.direction != ""
    return MeasurementTable(good[~is_link].copy(), good[is_link].copy(), source, tuple(bad))


def _wanted(read: pd.DataFrame, chosen: Mapping[str, object], source: str) -> pd.DataFrame:
    """Rows that have the chosen values; rows that leave one empty may be meant, and are looked at too."""
    for column, value in chosen.items():
        empty = read[column].isna() | (read[column] == "")
        if not (read[column] == value).any():
            known = [*read[column][~empty].unique()]
            hint = did_you_mean(str(value), map(str, known))
            raise ComponentError(
                f"{source} has no rows with {column} {value!r}; it has: {', '.join(map(str, known)) or 'none'}.{hint}"
            )
        read = read[(read[column] == value) | empty]
    return read.copy()


def load_table(path: Path) -> pd.DataFrame:
    """The cells of a CSV (as texts) or Parquet file.

    Raises:
        TableError: if there is none, or it cannot be read.
    """
    if not is_file(path):
        raise TableError([Problem("", "there is no such file; give the path of a table", str(path))])
    name = path.name.lower()
    if not name.endswith((".csv", ".csv.gz", ".parquet")):
        raise TableError(
            [Problem("", f"{path.suffix or 'no extension'} is not known; give a .csv or .parquet", str(path))]
        )
    try:
        if name.endswith(".parquet"):
            check_parquet(path)
            return parquet_frame(path)
        # As texts: pandas would turn `NA` into a missing number and a bad cell into a column of objects.
        # A byte-order mark would become part of the first column's name.
        with unpacked(path) as file:
            return originals(
                pd.read_csv(
                    file, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
                )
            )
    except Exception as error:
        # The parsers of pandas and pyarrow raise classes of their own that are nowhere promised.
        theirs = type(error).__module__.split(".")[0] in ("pandas", "pyarrow")
        if not theirs and not isinstance(error, (OSError, ValueError, EOFError)):
            raise
        raise TableError([Problem("", f"cannot be read: {error}", str(path))]) from error


def _columns(raw: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[Problem]]:
    """The table with columns in base units' names; factors of other units are kept in `attrs`."""
    problems: list[Problem] = []
    names: dict[str, str] = {}
    factors: dict[str, float] = {}
    for given in map(str, raw.columns):
        name, factor, why = _column(given)
        if why:
            problems.append(Problem(given, why, source))
        elif name in names.values():
            problems.append(Problem(given, f"gives {name} a second time; keep one column of it", source))
        else:
            names[given] = name
            factors[name] = factor
    held = set(names.values())
    links_only = "direction" in held and "time_s" not in held
    for name in REQUIRED:
        if name not in held and not (links_only and name != "device"):
            problems.append(Problem(name, "this column is missing; add it", source))
    if problems:
        return raw, problems
    frame = raw.rename(columns=names)
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    frame.attrs["factors"] = factors
    return frame, []


def _column(given: str) -> tuple[str, float, str]:
    """Name in base units, factor to them, and what is wrong."""
    name = given.strip()
    if name in COLUMNS:
        return name, 1.0, ""
    # What pandas makes of a column that stands there twice.
    if name.endswith(".1") and name[:-2] in COLUMNS:
        return name, 1.0, f"gives {name[:-2]} a second time; keep one column of it"
    stem, _, unit = name.rpartition("_")
    if f"{stem}_s" in TIMES:
        if unit in TIME_UNITS:
            return f"{stem}_s", TIME_UNITS[unit], ""
        return name, 1.0, f"{unit!r} is not a unit of time; write {stem}_s, {stem}_ms or {stem}_us"
    return name, 1.0, f"unknown column; known: {', '.join(COLUMNS)}.{did_you_mean(name, COLUMNS)}"
