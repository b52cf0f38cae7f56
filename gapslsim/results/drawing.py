"""A figure as plain data: panels, lines, a table and words. What draws it decides on pixels, colours and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

__all__ = ["Drawing", "Line", "Panel", "TextTable"]


@dataclass(frozen=True, slots=True)
class Line:
    """A series within a panel."""

    series: int
    """Number of the series; gives colour, dash and mark, the same in all panels."""
    points: pd.DataFrame
    """Columns x, mean, low, high, reached; where not reached, the mean is a lower bound. In panels of rows, x is the
    number of the row."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: curves with bands, points with bars along a numeric axis, or a row per name."""

    title: str
    style: Literal["curves", "points", "rows"]
    x_label: str
    y_label: str
    """In panels of rows, numbers run along the width, and this is the label below them."""
    lines: Sequence[Line]
    rows: Sequence[str] = ()
    log: bool = False
    """Whether the axis along the width is logarithmic."""
    zero: bool = True
    """Whether the axis of the numbers begins at 0, unless it is logarithmic."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """Numbers as people read them; the first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole figure."""

    title: str
    question: str
    caption: Sequence[str]
    """Sentences: how to read it, and what is missing."""
    table: TextTable
    numbers: pd.DataFrame
    """Everything that is drawn, in stored units, for a file."""
    panels: Sequence[Panel] = ()
    """None for a table."""
    series: Sequence[str] = ()
    """Names by number; one empty name if there is one unnamed series."""
    n_columns: int = 3
    """Panels side by side, where there is room."""
