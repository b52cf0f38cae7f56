"""A run directory: written so that it is whole or refused, and read back as `Results`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from gapslsim.errors import ResultsError
from gapslsim.results.frames import GEOMETRY, TABLES, columns_of, frame
from gapslsim.results.provenance import provenance
from gapslsim.results.results import Results, run_label
from gapslsim.results.summary import plain

__all__ = [
    "JOURNAL",
    "check_target",
    "is_run",
    "load_results",
    "load_summary",
    "load_table",
    "write_results",
    "write_text",
]

SCENARIO: Final = "scenario.yaml"
SUMMARY: Final = "summary.json"
PROVENANCE: Final = "provenance.json"
JOURNAL: Final = "journal"
"""Folder of a run directory in which its training is recorded while it goes on."""
_PARTIAL: Final = ".partial"


def is_run(directory: Path) -> bool:
    """Whether a directory holds a finished run: its summary, which is written last."""
    return (directory / SUMMARY).is_file() and (directory / SCENARIO).is_file()


def check_target(directory: Path, label: str) -> bool:
    """Says before a run whether its results may go to a directory.

    Args:
        directory: where they shall go.
        label: name of the run, see `run_label`.

    Returns:
        Whether an earlier run of the same name, framework and seed lies there and would be overwritten.

    Raises:
        ResultsError: if something else lies there, or the place cannot be written to.
    """
    if directory.exists() and not directory.is_dir():
        raise ResultsError(f"{directory} is a file; give a directory with --out")
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ResultsError(f"{directory} cannot be made: {place} is a file; give another one with --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ResultsError(f"{place} cannot be written to; give another directory with --out")
    if not directory.exists() or not any(directory.iterdir()):
        return False
    earlier = _label_of(directory)
    if earlier is None and [entry.name for entry in directory.iterdir()] == [JOURNAL]:
        earlier = _label_of_journal(directory)
        if earlier is None or earlier == label:
            return False
    if earlier is None:
        raise ResultsError(
            f"{directory} is not empty and holds no run of gapslsim; give another directory with --out, "
            "or empty it first"
        )
    if earlier != label:
        raise ResultsError(
            f"{directory} holds another run ({earlier}; this one is {label}); give another directory with "
            "--out, or delete the earlier run first"
        )
    return True


def _label_of_journal(directory: Path) -> str | None:
    """Label of a run that was killed before it wrote anything but its journal."""
    for header in (directory / JOURNAL).glob("training-*/header.json"):
        try:
            about = json.loads(header.read_text(encoding="utf-8"))["about"]
            return run_label(str(about["name"]), str(about["framework"]), int(about["seed"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def write_results(results: Results, directory: str | Path, command: Sequence[str] | None = None) -> Path:
    """Writes a run directory; an earlier run of the same name, framework and seed is replaced.

    Every file is first written under another name. The summary is renamed last: a directory without one was torn.

    Args:
        results: of a run, completed or not.
        directory: where to; made if need be.
        command: the command line, for `provenance.json`; this process's own by default.

    Returns:
        The directory.

    Raises:
        ResultsError: if something else lies there, or it cannot be written.
    """
    target = Path(directory)
    check_target(target, results.label)
    # Results that were read from a directory keep where they were made.
    origin = results.provenance or _origin(results, command)
    writers: dict[str, Callable[[Path], object]] = {
        SCENARIO: lambda path: path.write_text(results.scenario_yaml, encoding="utf-8"),
        PROVENANCE: lambda path: path.write_text(_json(origin), encoding="utf-8"),
        **{f"{name}.parquet": _parquet_writer(getattr(results, name)) for name in TABLES},
        SUMMARY: lambda path: path.write_text(_json(results.summary), encoding="utf-8"),
    }
    partial = {name: target / f".{name}{_PARTIAL}" for name in writers}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, write in writers.items():
            write(partial[name])
        (target / SUMMARY).unlink(missing_ok=True)
        for name, path in partial.items():
            path.replace(target / name)
    except OSError as error:
        raise ResultsError(f"{target} could not be written: {error.strerror or error}") from error
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return target


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        ResultsError: if it cannot be written.
    """
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ResultsError(f"{path} could not be written: {error.strerror or error}") from error


def load_results(directory: str | Path) -> Results:
    """Reads a run directory.

    Raises:
        ResultsError: if there is no run, a file is missing or cannot be read.
    """
    folder = Path(directory)
    summary = load_summary(folder)
    return Results(
        scenario_yaml=_read(folder / SCENARIO),
        summary=summary,
        provenance=_read_json(folder / PROVENANCE),
        **{name: _read_table(folder / f"{name}.parquet", row_type) for name, row_type in TABLES.items()},
    )


def load_table(directory: str | Path, name: str) -> pd.DataFrame:
    """Reads one table of a run directory.

    Raises:
        ResultsError: if it is missing or cannot be read.
    """
    return _read_table(Path(directory) / f"{name}.parquet", TABLES[name])


def load_summary(directory: str | Path) -> dict[str, Any]:
    """Reads the summary of a run directory, without its tables.

    Raises:
        ResultsError: if there is no run or it was torn.
    """
    folder = Path(directory)
    if not folder.exists():
        raise ResultsError(f"{folder} does not exist; give the directory that `gapslsim run` wrote")
    if not folder.is_dir():
        raise ResultsError(f"{folder} is a file; give the run directory that holds it")
    if not (folder / SUMMARY).is_file():
        if _label_of(folder) is not None:
            raise ResultsError(
                f"{folder} is incomplete: it has no {SUMMARY}, so writing it was cut off; run the scenario again"
            )
        inside = sorted(path.name for path in folder.iterdir() if path.is_dir() and is_run(path))
        hint = f"; it contains the runs {', '.join(inside[:5])}" if inside else ""
        raise ResultsError(
            f"{folder} is no run directory: it has no {SUMMARY}; give one that `gapslsim run` wrote{hint}"
        )
    return _read_json(folder / SUMMARY)


def _origin(results: Results, command: Sequence[str] | None) -> dict[str, Any]:
    summary = results.summary
    made = provenance(seed=summary["seed"], wall_time_s=summary["wall_time_s"] or 0.0, command=command)
    return {"run": results.label, **made}


def _label_of(directory: Path) -> str | None:
    """Label of the run in a directory, also of a torn one; None if it holds no run."""
    for name in (SUMMARY, PROVENANCE):
        try:
            found = json.loads((directory / name).read_text(encoding="utf-8"))
            if name == PROVENANCE:
                return str(found["run"])
            return run_label(str(found["name"]), str(found["framework"]), int(found["seed"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _json(value: object) -> str:
    return json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _parquet_writer(table: pd.DataFrame) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        table.to_parquet(path, engine="pyarrow", compression="zstd", index=False)

    return write


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ResultsError(_torn(path, "is missing")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(_torn(path, f"cannot be read ({error})")) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise ResultsError(_torn(path, f"is not JSON ({error})")) from error
    if not isinstance(found, dict):
        raise ResultsError(_torn(path, "holds no JSON object"))
    return found


def _read_table(path: Path, row_type: type[Any]) -> pd.DataFrame:
    if not path.is_file():
        if path.stem in GEOMETRY:
            return frame(row_type, ())
        raise ResultsError(_torn(path, "is missing"))
    try:
        table = pd.read_parquet(path, engine="pyarrow")
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(_torn(path, f"cannot be read ({error})")) from error
    missing = [name for name in columns_of(row_type) if name not in table.columns]
    if missing:
        raise ResultsError(_torn(path, f"lacks the columns {', '.join(missing)}: another version wrote it"))
    return table


def _torn(path: Path, what: str) -> str:
    return f"{path.parent}: {path.name} {what}; run the scenario again to have it whole"
