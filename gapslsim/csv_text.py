"""CSV that spreadsheets open without carrying it out: a cell such as `=cmd|...` is a formula to them.

Such a text gets an apostrophe before it, which `original` takes away again. Numbers are left as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_lines", "csv_of", "neutral", "original", "originals"]

# OWASP, "CSV Injection": these begin a formula, in Excel those of full width too. Apostrophes before them are counted
# in, so that what was written can be told from what was added.
_FORMULA: Final = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+](inf|nan)", re.IGNORECASE)


def neutral(cell: Any) -> Any:
    """A cell as it is written: a text that a spreadsheet would take for a formula begins with an apostrophe."""
    is_formula = isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def original(cell: Any) -> Any:
    """The cell that `neutral` was given."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell) else cell


def csv_of(table: pd.DataFrame, **how: Any) -> str:
    """A table as CSV, without its index; `how` as for `DataFrame.to_csv`."""
    return str(_each(table, neutral).to_csv(index=False, **how))


def originals(table: pd.DataFrame) -> pd.DataFrame:
    """A table that was read from such CSV, as it was."""
    return _each(table, original)


def csv_lines(rows: Iterable[Iterable[Any]]) -> str:
    """Rows, the names of the columns being the first, as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(neutral, row) for row in rows)
    return text.getvalue()


def _each(table: pd.DataFrame, change: Any) -> pd.DataFrame:
    """Texts of a table and names of its columns, changed one by one."""
    made = {name: table[name].map(change) for name, kind in table.dtypes.items() if kind.kind == "O"}
    return table.assign(**made).rename(columns=change) if made or table.columns.map(change).any() else table
