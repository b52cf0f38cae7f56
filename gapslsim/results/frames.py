"""Tidy tables from the rows of `records.py`: columns and types are those of the row's class, also when empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pandas as pd

from gapslsim import records
from gapslsim.network.network import LinkUseRow
from gapslsim.tables.rows import Rows

__all__ = ["GEOMETRY", "OPTIONAL", "TABLES", "frame"]

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
    "leakage": records.LeakageRow,
    "reconstructions": records.PixelRow,
    "local_losses": records.LossRow,
}
"""Name of each table in a run directory and the class of its rows."""

GEOMETRY: Final = ("gradients", "updates", "pairwise")
"""Tables of the geometry of gradients."""

OPTIONAL: Final = (
    *GEOMETRY, "clients", "attendance", "presence", "staleness", "confusion", "per_class", "predictions", "uncertainty",
    "leakage", "reconstructions", "local_losses",
)  # fmt: skip
"""Tables that run directories of earlier versions do not have, which reads as empty ones."""


def frame(row_type: type[Any], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A DataFrame with one column per field of the row's class; rows may be plain tuples.

    Raises:
        ValueError: if a row has more or fewer fields than its class.
    """
    return Rows(row_type, rows).frame()
