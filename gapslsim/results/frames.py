"""Tidy tables from the rows of `records.py`: columns and types are those of the row's class, also when empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, get_type_hints

import pandas as pd

from gapslsim.network.network import LinkUseRow
from gapslsim.records import AlignmentRow, EvaluationRow, LossRow, RoundRow, SpanRow

__all__ = ["TABLES", "columns_of", "frame"]

TABLES: Final[dict[str, type[Any]]] = {
    "spans": SpanRow,
    "rounds": RoundRow,
    "evaluations": EvaluationRow,
    "losses": LossRow,
    "alignment": AlignmentRow,
    "links": LinkUseRow,
}
"""Name of each table in a run directory and the class of its rows."""

_DTYPES: Final[dict[type, Any]] = {str: str, int: "int64", float: "float64", bool: "bool"}


def columns_of(row_type: type[Any]) -> dict[str, type]:
    """Column names of a table with their Python types, in order."""
    return dict(get_type_hints(row_type))


def frame(row_type: type[Any], rows: Iterable[NamedTuple]) -> pd.DataFrame:
    """A DataFrame with one column per field of the row's class."""
    given = list(rows)
    types = columns_of(row_type)
    values: Sequence[Sequence[Any]] = list(zip(*given, strict=True)) if given else [()] * len(types)
    return pd.DataFrame(
        {
            name: pd.Series(list(column), dtype=_DTYPES[kind])
            for (name, kind), column in zip(types.items(), values, strict=True)
        }
    )
