"""Which cells of a table are meant: rows by number (`2-40,45`) or by what they hold (`network=1 & model.cut=2,7`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gapslsim.calibration.table import TableError
from gapslsim.errors import Problem, did_you_mean
from gapslsim.testbed.table import Cell, TestbedTable

__all__ = ["select_cells"]

_ROWS: Final = re.compile(r"^\s*\d+\s*(-\s*\d+\s*)?(,\s*\d+\s*(-\s*\d+\s*)?)*$")


def select_cells(table: TestbedTable, texts: Sequence[str]) -> list[Cell]:
    """Cells that any of the texts means, in the table's order.

    Args:
        table: what was measured.
        texts: row numbers as in a text editor (the header is row 1), or conditions joined by `&`: `column=value,value`.

    Raises:
        TableError: on an unknown column, or a text that means no cell.
    """
    meant: set[int] = set()
    for text in texts:
        found = _by_rows(table, text) if _ROWS.match(text) else _by_values(table, text)
        if not found:
            raise _wrong(text, "means no cell of the table; look at its rows and values", table)
        meant |= found
    return [cell for number, cell in enumerate(table.cells) if number in meant]


def _by_rows(table: TestbedTable, text: str) -> set[int]:
    lines: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        lines |= set(range(int(first), int(last or first) + 1))
    return {number for number, cell in enumerate(table.cells) if lines & set(cell.lines)}


def _by_values(table: TestbedTable, text: str) -> set[int]:
    found = set(range(len(table.cells)))
    known = [*table.paths, *table.labels]
    for condition in text.split("&"):
        column, equals, values = condition.partition("=")
        column = column.strip()
        if not equals:
            raise _wrong(text, "is neither rows (2-40,45) nor a condition (column=value)", table)
        if column not in known:
            raise _wrong(
                text, f"{column!r} is no column of settings or labels; known: {', '.join(known)}."
                f"{did_you_mean(column, known)}", table,
            )  # fmt: skip
        wanted = {value.strip() for value in values.split(",")}
        found &= {number for number, cell in enumerate(table.cells) if cell[column] in wanted}
    return found


def _wrong(text: str, message: str, table: TestbedTable) -> TableError:
    return TableError([Problem(f"--calibrate {text}", message, table.source)])
