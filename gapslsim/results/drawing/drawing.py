"""A figure as plain data: series, bars, spans, marks and words. Printers decide on pixels, colours and letters."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gapslsim.results.categories import Category

__all__ = [
    "DASHES", "N_COLOURS", "SHAPES", "Bar", "Curve", "Drawing", "Mark", "Panel", "Part", "Picture", "Row", "Scale",
    "Span", "TextTable", "points_of", "shape_of",
]  # fmt: skip

SHAPES: Final = ("circle", "square", "up", "diamond", "down", "plus", "cross", "star")
"""Marks of series, by number."""
DASHES: Final[tuple[tuple[float, ...], ...]] = (
    (), (3.7, 1.6), (1, 1.65), (6.4, 1.6, 1, 1.65), (5, 1), (1, 1), (3, 1, 1, 1), (8, 3),
)  # fmt: skip
"""Dashes and gaps of series, by number [widths of the line]."""
N_COLOURS: Final = 8
"""Colours of series that a printer has; more series take them again with other marks."""
_FAR_APART: Final = 8.0
_MAY_BE_LOG: Final = 12.0


def shape_of(series: int) -> str:
    """The mark of a series; not the same again where its colour is."""
    return SHAPES[(series + series // N_COLOURS) % len(SHAPES)]


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis: what lies along it and from where to where, linear or logarithmic."""

    label: str = ""
    """With the unit: `energy [kJ]`."""
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    at: Sequence[float] = ()
    """Where ticks are; at round numbers unless given."""

    def __post_init__(self) -> None:
        if self.log:
            object.__setattr__(self, "high", max(self.high, self.low * 1.01))
        elif not self.high > self.low:
            object.__setattr__(self, "high", self.low + max(abs(self.low), 1.0) * 1e-3)

    @classmethod
    def over(
        cls, values: Iterable[float], label: str = "", *, zero: bool = False, log: bool | None = False,
        beyond: bool = False,
    ) -> Scale:  # fmt: skip
        """An axis on which all values lie; what is not finite is left out.

        Args:
            values: also none.
            label: see `Scale`.
            zero: begins at 0, unless it is logarithmic or values are negative.
            log: logarithmic; None for where values are positive and span more than a factor of 12.
            beyond: leaves room for arrows at its end.
        """
        finite = [float(value) for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        if log is None:
            log = low > 0 and high > _MAY_BE_LOG * low
        if log:
            low = min((value for value in finite if value > 0), default=1.0) / 1.1
            room = (high / low) ** 0.1 if beyond and high > low else 1.0
            return cls(label, low, max(high * 1.1, low) * room, log=True)
        low = min(0.0, low) if zero else low
        room = 0.05 * (high - low)
        return cls(label, low if zero and low == 0 else low - room, high + (2 if beyond else 1) * room)

    @classmethod
    def along(cls, curves: Iterable[Iterable[float]], label: str = "") -> Scale:
        """The axis along which curves run from 0; logarithmic where they end more than a factor of 8 apart.

        Args:
            curves: places of each curve's points, in order.
            label: see `Scale`.
        """
        places = [[float(x) for x in curve if math.isfinite(x)] for curve in curves]
        ends = [curve[-1] for curve in places if curve]
        firsts = [first for curve in places if (first := next((x for x in curve if x > 0), None))]
        positive = [end for end in ends if end > 0]
        if positive and max(positive) > _FAR_APART * min(positive):
            return cls(label, min(firsts) / 1.1, max(ends) * 1.1, log=True)
        return cls(label, 0.0, max(ends, default=1.0) * 1.03)

    @property
    def text(self) -> str:
        """The label, and whether the axis is logarithmic."""
        return f"{self.label}, log scale" if self.log else self.label

    def share(self, value: float) -> float:
        """Place of a value: 0 at the low end, 1 at the high one."""
        if self.log:
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, n: int = 5) -> list[float]:
        """Those given, else about `n` round numbers on the axis."""
        if self.at or self.log:
            return list(self.at) or self._log_ticks(n)
        step = 10 ** math.floor(math.log10((self.high - self.low) / n))
        step *= next(m for m in (1, 2, 5, 10) if (self.high - self.low) / (m * step) <= n + 0.5)
        first = math.ceil(self.low / step - 1e-9)
        ticks = [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        # Where the axis is as short as the rounding of its numbers, a tick may have been rounded off it.
        return [tick for tick in ticks if -1e-6 <= self.share(tick) <= 1 + 1e-6]

    def _log_ticks(self, n: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            ticks = [s * 10.0**d for d in decades for s in steps if self.low <= s * 10.0**d <= self.high]
            if len(ticks) <= n + 1:
                break
        return ticks or [self.low, self.high]


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points, with a band where they have a spread."""

    series: int | None
    """Number of the series; gives colour, dash and mark, the same in all panels. None for a line of reference."""
    points: pd.DataFrame
    """Columns x and mean; low and high where there is a band. What is not finite is left out."""
    marks: bool = True
    thin: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a series."""

    x: float
    y: float
    """In panels of rows the number of the row, from 0 at the top; between rows lie fractions."""
    series: int
    beyond: Literal["", "right", "up"] = ""
    """Hollow with an arrow: the number is a lower bound."""
    size: float = 1.0
    """Relative to the size of most marks."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one place to another: the spread around a mark."""

    x: tuple[float, float]
    y: tuple[float, float]
    series: int | None = None
    """Whose colour it has; None for none."""
    strong: bool = False
    """A median, say, across a spread."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a row."""

    row: float
    begin: float
    end: float
    fill: Category | int | None
    """What a client did, or a series; None for an outline."""
    about: str = ""
    """What it is, for those who point at it."""
    shade: float = 1.0
    """Opacity in [0, 1]."""
    text: str = ""
    """Written upon it."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image in a cell of a matrix."""

    row: int
    column: int
    pixels: NDArray[np.uint8]
    """Grey [h, w], or red, green and blue [h, w, 3]."""
    about: str = ""
    """What it is, for those who point at it."""
    series: None = None


Part = Curve | Mark | Span | Bar | Picture


@dataclass(frozen=True, slots=True)
class Row:
    """Name of a row."""

    name: str
    note: str = ""
    """Written at its other end."""
    strong: bool = False
    """A heading of the rows below."""


def _on_axes(part: Part, x: Scale, y: Scale) -> Part:
    """What of a part has a place: a logarithmic axis has none for 0, where curves and spreads may begin."""
    if isinstance(part, Curve) and x.log and (part.points["x"] <= 0).any():
        return replace(part, points=part.points[part.points["x"] > 0])
    if isinstance(part, Span):
        return replace(part, x=_ends(part.x, x), y=_ends(part.y, y))
    return part


def _ends(ends: tuple[float, float], scale: Scale) -> tuple[float, float]:
    return (max(ends[0], scale.low), max(ends[1], scale.low)) if scale.log else ends


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: numbers along two axes, or rows."""

    title: str
    x: Scale
    y: Scale
    """Of rows only the label, which is set above their names."""
    parts: Sequence[Part]
    rows: Sequence[Row] = ()
    row_height: float = 22.0
    """Of 380 units of a panel's width."""
    columns: Sequence[str] = ()
    """Names above columns of a matrix: column 0 lies from 0 to 1. Its cells are squares."""
    note_label: str = ""
    """Set above the rows' notes."""
    height: float = 230.0
    """Of one without rows [the same units]."""
    wide: bool = False
    """Takes the whole width."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", [_on_axes(part, self.x, self.y) for part in self.parts])

    @property
    def has_categories(self) -> bool:
        """Whether it shows what clients did."""
        return any(isinstance(part, Bar) and isinstance(part.fill, str) for part in self.parts)


@dataclass(frozen=True, slots=True)
class TextTable:
    """Numbers as people read them; the first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: Collection[tuple[int, int]] = ()
    """Cells that stand out: numbers of their row and column."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole figure. Texts are plain; printers escape them."""

    title: str
    panels: Sequence[Panel] = ()
    """None for a table."""
    caption: Sequence[str] = ()
    """Sentences: how to read it, what it shows, what is missing."""
    question: str = ""
    name: str = ""
    """For links within a page."""
    series: Sequence[str] = ()
    """Names by number; one empty name if there is one unnamed series."""
    table: TextTable = TextTable((), ())
    numbers: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Everything that is drawn, in stored units, for a file."""
    more: Sequence[Drawing] = ()
    """What only some readers want: folded on a page."""
    n_columns: int = 3
    """Panels side by side, where there is room."""

    @property
    def _parts(self) -> list[Part]:
        return [part for panel in self.panels for part in panel.parts]

    @property
    def shown(self) -> list[int]:
        """Numbers of the named series that are drawn."""
        found = {part.fill if isinstance(part, Bar) else part.series for part in self._parts}
        return [number for number, name in enumerate(self.series) if name and number in found]

    @property
    def has_lines(self) -> bool:
        """Whether any series is a line."""
        return any(isinstance(part, Curve) and part.series is not None for part in self._parts)

    @property
    def has_categories(self) -> bool:
        """Whether any panel shows what clients did."""
        return any(panel.has_categories for panel in self.panels)


def points_of(points: pd.DataFrame, series: int, *, in_rows: bool = False, shift: float = 0.0) -> list[Part]:
    """Marks with spreads: filled, or hollow with an arrow where the mean is a lower bound.

    Args:
        points: columns x, mean, low, high, reached; what has no mean is left out.
        series: their number.
        in_rows: the means lie along the width and x is the number of a row.
        shift: of marks within their row.
    """
    made: list[Part] = []
    for point in points.dropna(subset=["mean"]).itertuples(index=False):
        place = float(point.x) + shift
        there, ends = float(point.mean), (float(point.low), float(point.high))
        beyond: Literal["", "right", "up"] = "" if point.reached else "right" if in_rows else "up"
        made.append(Span(ends, (place, place), series) if in_rows else Span((place, place), ends, series))
        made.append(Mark(there, place, series, beyond) if in_rows else Mark(place, there, series, beyond))
    return made
