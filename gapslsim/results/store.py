"""A run directory: written so that it is whole or refused, and read back as `Results`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gapslsim.documents import yaml_data
from gapslsim.errors import ResultsError
from gapslsim.regular_files import check_regular, read_text
from gapslsim.results._sound import unsound
from gapslsim.results.frames import OPTIONAL, TABLES, frame
from gapslsim.results.outputs import whole
from gapslsim.results.place import PROVENANCE, SCENARIO, SUMMARY, check_place, is_run, read_loosely
from gapslsim.results.provenance import provenance
from gapslsim.results.results import Results
from gapslsim.results.stored_json import read_provenance, read_summary, written_by
from gapslsim.results.summary import plain
from gapslsim.tables.table import FrameTable, ParquetTable, Table, columns_of
from gapslsim.unpacking import parquet_frame
from gapslsim.whole_files import make_folder, whole_path

__all__ = [
    "PARQUET", "StoredRun", "clear_run", "load_results", "load_summary", "read_table", "write_results",
    "write_tables",
]  # fmt: skip

PARQUET: Final[dict[str, Any]] = {"engine": "pyarrow", "compression": "zstd", "index": False}
"""How tables are written."""


def write_results(
    results: Results, directory: str | Path, command: Sequence[str] | None = None, *, replace: bool = False
) -> Path:
    """Writes a run directory; the same run, if it lies there, is replaced.

    Every file is first written under another name. The summary is renamed last: a directory without one was torn.

    Args:
        results: of a run, completed or not.
        directory: where to; made if need be.
        command: the command line, for `provenance.json`; this process's own by default.
        replace: also another run that lies there.

    Returns:
        The directory.

    Raises:
        ResultsError: if something else lies there, or it cannot be written.
    """
    target = Path(directory)
    check_place(target, results.identity, replace=replace)
    # Results that were read from a directory keep where they were made.
    summary = results.summary
    origin = results.provenance or {
        "run": results.label,
        **provenance(
            seed=summary["seed"],
            wall_time_s=summary["wall_time_s"] or 0.0,
            command=command,
            computed_on=summary.get("computed_on"),
        ),
    }
    # The summary is the first to be begun and the last to take its place.
    writers: dict[str, Callable[[Path], object]] = {
        SUMMARY: lambda path: path.write_text(_json(summary), encoding="utf-8"),
        SCENARIO: lambda path: path.write_text(results.scenario_yaml, encoding="utf-8"),
        PROVENANCE: lambda path: path.write_text(_json(origin), encoding="utf-8"),
        **{f"{name}.parquet": results.table(name).write for name in TABLES},
    }
    try:
        make_folder(target)
        with ExitStack() as stack:
            for name, write in writers.items():
                write(stack.enter_context(whole_path(target / name)))
            (target / SUMMARY).unlink(missing_ok=True)
    except OSError as error:
        raise ResultsError(f"{target} could not be written: {error.strerror or error}") from error
    return target


def write_tables(directory: str | Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Puts tables into a run directory that were found out after the run, in place of empty ones.

    Raises:
        ResultsError: if they cannot be written.
    """
    for name, table in tables.items():
        with whole(Path(directory) / f"{name}.parquet") as unfinished:
            FrameTable(table).write(unfinished)


def clear_run(directory: Path) -> None:
    """Deletes what `write_results` has written there, and nothing else."""
    for name in (SUMMARY, SCENARIO, PROVENANCE, *(f"{name}.parquet" for name in TABLES)):
        (directory / name).unlink(missing_ok=True)


class StoredRun:
    """A run directory that is whole: every file was looked at, and each table is read when first asked for.

    Args:
        directory: that `write_results` wrote.

    Raises:
        ResultsError: if there is no run, or a file of it is missing, cut off or not what it should be.
    """

    def __init__(self, directory: str | Path) -> None:
        self.folder = Path(directory)
        self.summary = load_summary(self.folder)
        self.provenance = _parsed(self.folder / PROVENANCE, read_provenance)
        self.scenario_yaml, self.scenario = _parsed(self.folder / SCENARIO, _scenario)
        self._tables: dict[str, pd.DataFrame] = {}
        n_rows = {
            name: _check_columns(self._file(name), columns_of(TABLES[name]), _AGAIN)
            for name in TABLES
            if self._is_there(name)
        }
        self._check_rows(n_rows)

    def table(self, name: str) -> pd.DataFrame:
        """One of `TABLES`, with at least its columns; those of the geometry are empty in runs of earlier versions.

        Raises:
            ResultsError: if what is stored cannot be read.
        """
        if name not in self._tables:
            row_type = TABLES[name]
            self._tables[name] = (
                read_table(self._file(name), columns_of(row_type), n_clients=self.summary["n_clients"])
                if self._is_there(name)
                else frame(row_type, ())
            )
        return self._tables[name]

    def lazily(self, name: str) -> Table:
        """One of `TABLES`; a long one is read from its file, in pieces or whole, when it is asked for."""
        file = self._file(name)
        if name in self._tables or not self._is_there(name) or pq.read_metadata(file).num_rows <= Table.PIECE:
            return FrameTable(self.table(name))
        columns, n_clients = columns_of(TABLES[name]), self.summary["n_clients"]
        return ParquetTable(
            file,
            _later(file),
            lambda what: _torn(file, what if isinstance(what, str) else f"cannot be read ({what})"),
            lambda piece: unsound(piece, {n: kind for n, kind in columns.items() if n in piece}, n_clients),
        )

    def _check_rows(self, n_rows: Mapping[str, int]) -> None:
        """Refuses tables of another run than the summary's, as far as their lengths tell."""
        told = {"rounds": self.summary["rounds"]}
        if n_rows.get("clients"):
            told["clients"] = self.summary["n_clients"]
        if not self.summary.get("uncertainty"):
            told["uncertainty"] = 0
        for name, wanted in told.items():
            if (found := n_rows.get(name, 0)) != wanted:
                mixed = f"has {found} rows, where {SUMMARY} tells of {wanted}: files of two runs are mixed"
                raise ResultsError(_torn(self._file(name), mixed))

    def results(self) -> Results:
        """With all tables."""
        tables: dict[str, Any] = {name: self.lazily(name) for name in TABLES}
        return Results(
            scenario_yaml=self.scenario_yaml, summary=self.summary, provenance=self.provenance, **tables
        )

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _is_there(self, name: str) -> bool:
        is_told = name == "uncertainty" and bool(self.summary.get(name))
        return name not in OPTIONAL or is_told or self._file(name).exists()


def load_results(directory: str | Path) -> Results:
    """Reads a run directory.

    Raises:
        ResultsError: if there is no run, or a file of it is missing, cut off or not what it should be.
    """
    return StoredRun(directory).results()


def read_table(
    file: Path, columns: Mapping[str, type], fix: str = "", n_clients: int | None = None
) -> pd.DataFrame:
    """Reads a table that has at least some columns, with values that can be.

    Args:
        file: Parquet.
        columns: names with their Python types; a column of integers may stand for numbers, anything for `object`.
        fix: what the reader of an error is to do; running the scenario again unless given.
        n_clients: of the run; unless given, clients may have any number.

    Raises:
        ResultsError: if it is missing, cannot be read, lacks a column or a value, or holds one that cannot be.
    """
    fix = fix or _AGAIN
    _check_columns(file, columns, fix)
    try:
        table = parquet_frame(file)
    except OSError as error:
        raise ResultsError(_torn(file, f"cannot be read ({error.strerror})", fix)) from error
    table = table.assign(**{name: value for name, value in _later(file).items() if name not in table})
    if wrong := unsound(table, columns, n_clients):
        raise ResultsError(_torn(file, wrong, fix))
    return table


def _check_columns(file: Path, columns: Mapping[str, type], fix: str) -> int:
    """Looks at a table without reading its values; returns its number of rows."""
    try:
        check_regular(file)
        with pq.ParquetFile(file) as opened:
            schema, about = opened.schema_arrow, opened.metadata
            chunks = [
                about.row_group(group).column(column)
                for group in range(about.num_row_groups) for column in range(about.num_columns)
            ]  # fmt: skip
            gaps = {c.path_in_schema for c in chunks if c.statistics is not None and c.statistics.null_count}
    except FileNotFoundError:
        raise ResultsError(_torn(file, "is missing", fix)) from None
    except (OSError, ValueError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or error
        raise ResultsError(_torn(file, f"cannot be read ({why})", fix)) from error
    columns = {n: kind for n, kind in columns.items() if n in schema.names or n not in _later(file)}
    missing = [name for name in columns if schema.names.count(name) != 1]
    if missing:
        by = written_by(read_loosely(file.with_name(PROVENANCE)).get("gapslsim"))
        raise ResultsError(_torn(file, f"lacks the columns {', '.join(missing)}{by}", fix))
    # A column without any value has no type; only in one of numbers is a missing value a value (NaN).
    wrong = [
        name
        for name, kind in columns.items()
        if about.num_rows
        and (not _HOLDS[kind](schema.field(name).type) or (name in gaps and kind is not float))
    ]
    if wrong:
        raise ResultsError(_torn(file, f"holds other values than it should in {', '.join(wrong)}", fix))
    return int(about.num_rows)


def _later(file: Path) -> dict[str, float]:
    """Columns that runs of earlier versions lack, with what they would hold: their clients did one thing at a time."""
    return {"overlap_s": 0.0} if file.stem == "spans" else {}


_HOLDS: Final[dict[type, Callable[[pa.DataType], bool]]] = {
    int: pa.types.is_integer,
    float: lambda t: pa.types.is_floating(t) or pa.types.is_integer(t),
    bool: pa.types.is_boolean,
    str: lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
    object: lambda _: True,
}
"""Whether a column of a file can stand for values of a Python type."""


def load_summary(directory: str | Path) -> dict[str, Any]:
    """Reads the summary of a run directory, without its tables.

    Raises:
        ResultsError: if there is no run, or its summary is missing, cut off or not what it should be.
    """
    folder = Path(directory)
    if not folder.exists():
        raise ResultsError(f"{folder} does not exist; give the directory that `gapslsim run` wrote")
    if not folder.is_dir():
        raise ResultsError(f"{folder} is a file; give the run directory that holds it")
    if not (folder / SUMMARY).is_file():
        if (folder / PROVENANCE).exists():
            raise ResultsError(
                f"{folder} is incomplete: it has no {SUMMARY}, so writing it was cut off; run the scenario again"
            )
        inside = sorted(path.name for path in folder.iterdir() if path.is_dir() and is_run(path))
        hint = f"; it contains the runs {', '.join(inside[:5])}" if inside else ""
        raise ResultsError(
            f"{folder} is no run directory: it has no {SUMMARY}; give one that `gapslsim run` wrote{hint}"
        )
    found: dict[str, Any] = _parsed(folder / SUMMARY, read_summary)
    return found


def _json(value: object) -> str:
    return json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _scenario(text: str) -> tuple[str, dict[str, Any]]:
    try:
        found = yaml_data(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not YAML ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("holds no mapping")
    return text, found


def _parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    """What a file of a run directory holds; `parse` raises ValueError with what is wrong in words."""
    try:
        return parse(read_text(path, follow=False))
    except FileNotFoundError:
        raise ResultsError(_torn(path, "is missing")) from None
    except OSError as error:
        raise ResultsError(_torn(path, f"cannot be read ({error.strerror})")) from error
    except UnicodeDecodeError as error:
        raise ResultsError(_torn(path, f"cannot be read ({error})")) from error
    except ValueError as error:
        raise ResultsError(_torn(path, " ".join(str(error).split()))) from error


_AGAIN: Final = "run the scenario again, or its sweep with --resume, to have it whole"


def _torn(path: Path, what: str, fix: str = _AGAIN) -> str:
    return f"{path.parent}: {path.name} {what}; {fix}"
