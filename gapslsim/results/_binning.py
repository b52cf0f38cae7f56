"""Lines over rounds, reduced to as many points as a plot can show."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

__all__ = ["binned", "line_over_seeds"]

_MOST_POINTS: Final = 60
"""So that a long run stays readable and its page small."""


def binned(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Means over bins of equally many consecutive rows, the last bin perhaps fewer; at most 60 rows.

    Args:
        table: numbers by round; the index is the round.

    Returns:
        The means, their index the mean round of each bin; and how many rows are in a bin.
    """
    width = max(1, math.ceil(len(table) / _MOST_POINTS))
    bins = np.arange(len(table)) // width
    means = table.groupby(bins).mean()
    means.index = pd.Index(table.index.to_series().astype(float).groupby(bins).mean(), name="round")
    return means, width


def line_over_seeds(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The mean over columns with the least and the greatest, in bins of rounds.

    Args:
        table: a column per seed; the index is the round.

    Returns:
        Columns x (round), mean, low, high; and how many rounds are in a bin.
    """
    points, width = binned(table)
    line = pd.DataFrame({"mean": points.mean(axis=1), "low": points.min(axis=1), "high": points.max(axis=1)})
    return line.rename_axis("x").reset_index(), width
