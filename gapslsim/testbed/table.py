"""Reads what a testbed measured: columns are scenario paths, measures and labels; rows are repeated measurements."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from gapslsim.calibration.table import TableError, load_table
from gapslsim.errors import Problem, did_you_mean
from gapslsim.scenario.schema import Scenario
from gapslsim.testbed.measures import OF_A_RUN, Measure, measure_of
from gapslsim.units import parse_quantity, whole_number

__all__ = ["Cell", "TestbedTable", "read_testbed"]

_BRACKETS: Final = re.compile(r"^(.*?)\s*[\[(]([^\])]*)[\])]$")
_REMARKS: Final = ("note", "comment", "source")
_CLIENT: Final = "client"
_NUMBER: Final = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


@dataclass(frozen=True)
class Cell:
    """One setting of the testbed with everything that was measured in it."""

    settings: tuple[tuple[str, str], ...]
    """Dotted path in the scenario and YAML text of the value."""
    labels: tuple[tuple[str, str], ...] = ()
    client: int | None = None
    """Whose measures these are; None for the mean over clients."""
    lines: tuple[int, ...] = ()
    """Rows of the file, the header being row 1."""
    measured: dict[str, np.ndarray] = field(default_factory=dict)
    """Values of each measure, in base units, in the order of the rows."""

    def __getitem__(self, column: str) -> str:
        """The text of a setting or label; empty if the cell has none."""
        return dict((*self.settings, *self.labels)).get(column, "")

    @property
    def name(self) -> str:
        """`model.cut=2, network=1`."""
        about = [*self.labels, *self.settings]
        return ", ".join(f"{path}={text}" for path, text in about if text) or "the scenario as it is"


@dataclass(frozen=True)
class TestbedTable:
    """A checked table."""

    __test__ = False

    source: str
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    measures: tuple[Measure, ...]
    cells: tuple[Cell, ...]


def read_testbed(
    path: Path, phases: Collection[str], labels: Collection[str] = (), ignored: Collection[str] = ()
) -> TestbedTable:
    """Reads a table, CSV or Parquet.

    Units stand in the cell (`40 Mbit/s`), at the end of a measure's name (`iteration_ms`), in brackets behind a name
    (`clients.0.link.uplink [Mbit/s]`) or in a second row that holds nothing but units.

    Args:
        path: the file.
        phases: of the scenario; each is a measure.
        labels: columns that tell cells apart but set nothing, such as the number of a network.
        ignored: columns to leave out.

    Raises:
        TableError: lists every problem with its row and column.
    """
    source = str(path)
    raw = load_table(path)
    units = _units(raw)
    first_line = 2
    if units is None:
        units = [""] * raw.shape[1]
    else:
        raw, first_line = raw.iloc[1:], 3
    problems: list[Problem] = []
    kinds = _kinds(
        list(map(str, raw.columns)), units, set(phases), set(labels), set(ignored), source, problems
    )
    if problems:
        raise TableError(problems)
    found: dict[tuple[object, ...], tuple[list[int], dict[str, list[float]]]] = {}
    for line, row in enumerate(raw.itertuples(index=False, name=None), first_line):
        texts = [_text(value) for value in row]
        if not any(texts):
            continue
        key, values = _row(texts, kinds, source, line, problems)
        lines, of_cell = found.setdefault(key, ([], {}))
        lines.append(line)
        for name, value in values.items():
            of_cell.setdefault(name, []).append(value)
    if not problems and not found:
        problems.append(Problem("", "has no rows; add one per measurement", source))
    elif not problems and not any(measured for _, measured in found.values()):
        problems.append(Problem("", "has no measurement in any row; fill a column of them", source))
    if problems:
        raise TableError(problems)
    cells = [
        Cell(settings, own, client, tuple(lines), {name: np.array(v) for name, v in measured.items()})  # type: ignore[arg-type]
        for (settings, own, client), (lines, measured) in found.items()
        if measured
    ]
    return TestbedTable(
        source,
        tuple(kind.name for kind in kinds if kind.what == "path"),
        tuple(kind.name for kind in kinds if kind.what == "label"),
        tuple(kind.measure for kind in kinds if kind.measure is not None),
        tuple(cells),
    )


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    what: str
    """`path`, `measure`, `label`, `client` or empty for none."""
    unit: str = ""
    measure: Measure | None = None


def _text(value: object) -> str:
    """A value of the table; Parquet keeps a column of whole numbers with a gap as floats."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _units(raw: pd.DataFrame) -> list[str] | None:
    """The row of units, if the first one is that: a unit in at least one cell, and no number in any."""
    if raw.empty:
        return None
    texts = [_text(value) for value in raw.iloc[0]]
    known = [_is_unit(text) for text in texts]
    if not any(known) or not all(is_unit or not text for is_unit, text in zip(known, texts, strict=True)):
        return None
    return texts


def _is_unit(text: str) -> bool:
    return any(_reads(f"1 {text}", base) for base in ("s", "J", "W", "B", "bit/s", "B/s")) if text else False


def _reads(text: str, base: str) -> bool:
    try:
        parse_quantity(text, base)
    except ValueError:
        return False
    return True


def _kinds(
    columns: list[str], units: list[str], phases: set[str], labels: set[str], ignored: set[str], source: str,
    problems: list[Problem],
) -> list[_Column]:  # fmt: skip
    """What each column holds."""
    top = {each.name for each in fields(Scenario)}
    made, seen = [], set()
    for given, of_row in zip(columns, units, strict=True):
        bracket = _BRACKETS.match(given.strip())
        name, unit = (bracket[1], bracket[2]) if bracket else (given.strip(), of_row)
        name = re.sub(r"\[(\d+)\]", r".\1", name)
        measure = measure_of(name, phases)
        if name in ignored or name in _REMARKS:
            made.append(_Column(name, ""))
        elif name in labels:
            made.append(_Column(name, "label"))
        elif name == _CLIENT:
            made.append(_Column(name, _CLIENT))
        elif measure is not None:
            unit = unit or measure.unit
            if unit and not _reads(f"1 {unit}", measure.base):
                problems.append(
                    Problem(
                        given, f"{unit!r} is no unit of {measure.name}; write one of {measure.base}", source
                    )
                )
            made.append(_Column(measure.name, "measure", unit, measure))
        elif name.partition(".")[0] in top:
            made.append(_Column(name, "path", unit))
        else:
            known = [*OF_A_RUN, *sorted(phases), *sorted(top)]
            problems.append(
                Problem(
                    given,
                    "is no path of the scenario and no measure; rename it, or give --label (it tells cells apart) or "
                    f"--ignore. Measures: {', '.join([*OF_A_RUN, *sorted(phases)])}.{did_you_mean(name, known)}",
                    source,
                )
            )
            continue
        if made[-1].name in seen and made[-1].what:
            problems.append(
                Problem(given, f"gives {made[-1].name} a second time; keep one column of it", source)
            )
        seen.add(made[-1].name)
    for name in sorted(labels - {each.name for each in made} - {problem.path for problem in problems}):
        problems.append(Problem(name, f"there is no such column.{did_you_mean(name, columns)}", source))
    if not problems and not any(each.what == "measure" for each in made):
        problems.append(
            Problem("", f"has no measure; add a column such as iteration_s (known: {', '.join(OF_A_RUN)}, or a phase)",
                    source)
        )  # fmt: skip
    return made


def _row(
    texts: list[str], kinds: list[_Column], source: str, line: int, problems: list[Problem]
) -> tuple[tuple[object, ...], dict[str, float]]:
    """The cell that a row belongs to, and its measures."""
    settings, labels, values = [], [], {}
    client: int | None = None
    for text, kind in zip(texts, kinds, strict=True):
        if not text or not kind.what:
            continue
        if kind.what == "label":
            labels.append((kind.name, text))
        elif kind.what == "path":
            settings.append((kind.name, f"{text} {kind.unit}" if kind.unit and _NUMBER.match(text) else text))
        elif kind.what == _CLIENT:
            if (client := whole_number(text.removesuffix(".0"))) is None:
                problems.append(
                    Problem(_CLIENT, f"{text!r} is no index of a client; write 0, 1, ...", source, line)
                )
        elif kind.measure is not None:
            try:
                bare = kind.unit and _NUMBER.match(text)
                value = parse_quantity(f"{text} {kind.unit}" if bare else text, kind.measure.base)
            except ValueError as error:
                problems.append(Problem(kind.name, f"{error}", source, line))
                continue
            if value == 0:
                why = "is zero, which no testbed measures; leave the cell empty if it was not measured"
                problems.append(Problem(kind.name, why, source, line))
            values[kind.name] = value
    return (tuple(settings), tuple(labels), client), values
