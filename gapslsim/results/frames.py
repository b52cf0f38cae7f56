"""Tidy tables from the rows of `records.py`: columns and types are those of the row's class, also when empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, get_type_hints

import numpy as np
import pandas as pd

from gapslsim import records
from gapslsim.network.network import LinkUseRow

__all__ = ["GEOMETRY", "OPTIONAL", "TABLES", "columns_of", "frame"]

TABLES: Final[dict[str, type[Any]]] = {
    "clients": records.ClientRow,
    "spans": records.SpanRow,
    "rounds": records.RoundRow,
    "evaluations": records.EvaluationRow,
    "losses": records.LossRow,
    "alignment": records.AlignmentRow,
    "links": LinkUseRow,
    "gradients": records.GradientRow,
    "updates": records.UpdateRow,
    "pairwise": records.PairRow,
    "attendance": records.AttendanceRow,
    "presence": records.PresenceRow,
    "staleness": records.StalenessRow,
    "confusion": records.ConfusionRow,
    "per_class": records.ClassRow,
    "predictions": records.PredictionRow,
    "uncertainty": records.DrawRow,
}
"""Name of each table in a run directory and the class of its rows."""

GEOMETRY: Final = ("gradients", "updates", "pairwise")
"""Tables of the geometry of gradients."""

OPTIONAL: Final = (
    *GEOMETRY, "clients", "attendance", "presence", "staleness", "confusion", "per_class", "predictions", "uncertainty",
)  # fmt: skip
"""Tables that run directories of earlier versions do not have, which reads as empty ones."""

_DTYPES: Final[dict[type, Any]] = {int: "int64", float: "float64", bool: "bool"}


def columns_of(row_type: type[Any]) -> dict[str, type]:
    """Column names of a table with their Python types, in order."""
    return dict(get_type_hints(row_type))


def frame(row_type: type[Any], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A DataFrame with one column per field of the row's class; rows may be plain tuples.

    Raises:
        ValueError: if a row has more or fewer fields than its class.
    """
    given = rows if isinstance(rows, list) else list(rows)
    types = columns_of(row_type)
    if set(map(len, given)) - {len(types)}:
        raise ValueError(f"A row of {row_type.__name__} has {len(types)} fields; found another number.")
    columns = {}
    for place, (name, kind) in enumerate(types.items()):
        column = map(itemgetter(place), given)
        columns[name] = (
            pd.Series(list(column), dtype=str)
            if kind is str
            else np.fromiter(column, _DTYPES[kind], len(given))
        )
    return pd.DataFrame(columns)
