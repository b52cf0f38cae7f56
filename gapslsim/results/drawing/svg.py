"""Prints the panels of a `Drawing` as SVG text. Colours come from the page's style, so that they follow light and dark
mode.

A panel is drawn for 380 units of width, which is a phone's, and scales up. Nothing but text, paths and rectangles.
"""

from __future__ import annotations

import cmath
import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd

from gapslsim.results.categories import Category
from gapslsim.results.drawing.drawing import (
    DASHES,
    N_COLOURS,
    Bar,
    Curve,
    Mark,
    Panel,
    Picture,
    Span,
    shape_of,
)
from gapslsim.results.drawing.markup import Markup, joined, tag
from gapslsim.results.drawing.png import png_of

__all__ = ["category_swatch", "panel_svg", "patterns", "size_of", "swatch"]

_WIDTH: Final = 380.0
_WIDE: Final = 760.0
_CHARACTER: Final = 6.9
"""Width of a letter, with fonts that are wide."""
_MOST_CHARACTERS: Final = 24
"""Of the name of a row; the whole of a longer one is told to those who point at it."""
_MOST_VALUES: Final = 200
"""Points of a curve that tell their value."""
_LINE: Final = 1.8
_LEAST: Final = 0.25
"""Narrower bars are not drawn [units]."""
_HATCHES: Final[dict[Category, str]] = {
    "client_compute": "",
    "uplink": "M0 6L6 0",
    "server_queue": "M3 0V6",
    "server_compute": "M0 3H6",
    "downlink": "M0 0L6 6",
    "waiting": "M3 3h.1",
}
"""Tell categories apart without colour."""

_NOTHING: Final = Markup()

_Point = tuple[float, float]


def size_of(panel: Panel) -> tuple[float, float]:
    """Width and height of a panel [units]."""
    frame = _Frame(panel)
    return frame.width, frame.height


def panel_svg(panel: Panel, about: str = "", series: Sequence[str] = ()) -> Markup:
    """A panel as an SVG element.

    Args:
        panel: whose title is not drawn: it is a heading of the page.
        about: text for those who do not see it; the title unless given.
        series: names by number, for those who point at a value.
    """
    frame = _Frame(panel, series)
    bands = [frame.band(part) for part in panel.parts if isinstance(part, Curve)]
    draw: dict[type, Callable[[Any], Markup]] = {
        Curve: frame.line, Mark: frame.mark, Span: frame.span, Bar: frame.bar, Picture: frame.picture,
    }  # fmt: skip
    drawn = [*frame.axes(), *bands, *(draw[type(part)](part) for part in panel.parts)]
    named = tag("title", about or panel.title or panel.x.label)
    box = f"0 0 {frame.width:g} {frame.height:g}"
    return tag("svg", named, *drawn, viewBox=box, role="img", class_="plot")


class _Frame:
    """Where everything in a panel lies [units]."""

    def __init__(self, panel: Panel, series: Sequence[str] = ()) -> None:
        self.panel = panel
        self.series = series
        self.width = _WIDE if panel.wide else _WIDTH
        names = [_short(row.name) for row in panel.rows if not row.strong]
        notes = max((len(row.note) for row in panel.rows), default=0)
        self.left = max(46.0, 10 + _CHARACTER * max(map(len, names), default=0))
        above = panel.y.label or panel.note_label or panel.columns
        self.top = 24.0 if above or not panel.rows else 6.0
        self.bottom = 6.0 if panel.columns else 38.0
        self.right = self.width - (10 + _CHARACTER * notes if notes else 20.0 if panel.rows else 10.0)
        self.height = (
            self.top + self.bottom + panel.row_height * len(panel.rows) if panel.rows else panel.height
        )
        if panel.columns:
            self.right = self.left + panel.row_height * len(panel.columns)
        self.floor = self.height - self.bottom

    def x(self, value: float) -> float:
        return self.left + self.panel.x.share(value) * (self.right - self.left)

    def y(self, value: float) -> float:
        if self.panel.rows:
            return self.top + (value + 0.5) * self.panel.row_height
        return self.floor - self.panel.y.share(value) * (self.floor - self.top)

    def axes(self) -> list[Markup]:
        """Grid, ticks, labels and names of rows; all else lies above."""
        panel = self.panel
        made: list[Markup] = []
        for number, name in enumerate(panel.columns):
            made.append(_text(self.left + (number + 0.5) * panel.row_height, self.top - 6, name, "middle"))
        for tick in () if panel.columns else panel.x.ticks(8 if panel.wide else 5):
            at = self.x(tick)
            made.append(tag("line", x1=at, x2=at, y1=self.top, y2=self.floor, class_="grid"))
            half = _CHARACTER / 2 * len(f"{tick:g}")
            made.append(_text(min(at, self.width - half), self.floor + 14, f"{tick:g}", "middle"))
        for tick in () if panel.rows else panel.y.ticks():
            at = self.y(tick)
            made.append(tag("line", x1=self.left, x2=self.right, y1=at, y2=at, class_="grid"))
            made.append(_text(self.left - 5, at + 4, f"{tick:g}", "end"))
        for number, row in enumerate(panel.rows):
            at = self.y(number) + 4
            if row.strong:
                made.append(_text(2, at, row.name, "start", "strong"))
            else:
                made.append(_text(self.left - 6, at, _short(row.name), "end", whole=row.name))
            made.append(_text(self.right + 5, at, row.note))
        if not panel.columns:
            made.append(tag("line", x1=self.left, x2=self.right, y1=self.floor, y2=self.floor, class_="axis"))
            made.append(_text((self.left + self.right) / 2, self.height - 6, panel.x.text, "middle", "label"))
        made.append(_text(2, self.top - 9, panel.y.text if panel.y.label else "", "start", "label"))
        made.append(_text(self.width - 2, self.top - 9, panel.note_label, "end", "label"))
        return made

    def line(self, curve: Curve) -> Markup:
        """A line in the colour, dash and marks of its series."""
        places = [(self.x(x), self.y(y)) for x, y in _finite(curve.points, "x", "mean")]
        if not places:
            return _NOTHING
        if curve.series is None:
            return tag("path", d=_path(places), class_="front")
        series = curve.series
        made = _line(_path(places), series, width=0.8 if curve.thin else None)
        every = max(1, round(len(places) / 6))
        marked = [*places[series % every : -1 : every], places[-1]] if curve.marks else []
        return joined([made, *(_shape(x, y, series) for x, y in marked), self._values(curve, series)])

    def _values(self, curve: Curve, series: int) -> Markup:
        """The numbers at a curve's points, for those who point at them."""
        names = ["x", "mean", *(["low", "high"] if "high" in curve.points else [])]
        rows = _finite(curve.points, *names)
        made = []
        for x, mean, *ends in rows[:: 1 + len(rows) // _MOST_VALUES]:
            told = self.told(series, x, mean, f" ({ends[0]:.4g} .. {ends[1]:.4g})" if ends else "")
            made.append(tag("circle", told, cx=self.x(x), cy=self.y(mean), r=6, class_="hover"))
        return joined(made)

    def told(self, series: int, x: float, y: float, more: str = "") -> Markup:
        """A value in words: the series, and where it lies along the axes."""
        panel = self.panel
        places = [f"{panel.x.label} {x:.4g}"] + ([] if panel.rows else [f"{panel.y.label} {y:.4g}{more}"])
        name = self.series[series] if series < len(self.series) else ""
        return tag("title", f"{name}: {', '.join(places)}" if name else ", ".join(places))

    def band(self, curve: Curve) -> Markup:
        """The area between the lowest and the highest."""
        points = _finite(curve.points, "x", "low", "high") if "high" in curve.points else []
        if len(points) < 2 or not any(high > low for _, low, high in points):
            return _NOTHING
        there = [(self.x(x), self.y(high)) for x, _, high in points]
        back = [(self.x(x), self.y(low)) for x, low, _ in reversed(points)]
        cls = "reference" if curve.series is None else f"band c{curve.series % N_COLOURS}"
        return tag("path", d=_path([*there, *back]) + "Z", class_=cls)

    def mark(self, mark: Mark) -> Markup:
        """The mark of a series, with an arrow for a lower bound."""
        x, y = self.x(mark.x), self.y(mark.y)
        way = {"": "", "right": "h14m-4 -3l4 3l-4 3", "up": "v-14m-3 4l3 -4l3 4"}[mark.beyond]
        colour = f"arrow c{mark.series % N_COLOURS}"
        arrow = tag("path", d=f"M{x:.1f} {y:.1f}{way}", class_=colour) if way else _NOTHING
        told = self.told(mark.series, mark.x, mark.y, " or more" if way else "")
        return joined([arrow, _shape(x, y, mark.series, size=4 * mark.size, hollow=bool(way), inside=told)])

    def span(self, span: Span) -> Markup:
        """A straight line."""
        (x1, x2), (y1, y2) = map(self.x, span.x), map(self.y, span.y)
        cls = "tick" if span.strong else "range"
        cls += "" if span.series is None else f" c{span.series % N_COLOURS}"
        return tag("line", x1=x1, x2=x2, y1=y1, y2=y2, class_=cls)

    def bar(self, bar: Bar) -> Markup:
        """A rectangle in its row."""
        x, width = self.x(bar.begin), self.x(bar.end) - self.x(bar.begin)
        gap = 1 if self.panel.columns else 0
        high = self.panel.row_height - (gap or (2 if isinstance(bar.fill, int) else 3))
        place: dict[str, object] = {"x": x, "y": self.y(bar.row) - high / 2, "height": high}
        if bar.fill is None:
            return tag("rect", **place, width=max(width, 0.5), class_="chain")
        if width < _LEAST:
            return _NOTHING
        inner = tag("title", bar.about) if bar.about else _NOTHING
        if isinstance(bar.fill, str):
            fill, shade = f"url(#p-{bar.fill})", None if bar.shade == 1 else bar.shade
            return tag("rect", inner, **place, width=width, fill=fill, fill_opacity=shade, class_="bar")
        cls, gap = f"cell c{bar.fill % N_COLOURS}", 1 if self.panel.columns else 0
        made = tag("rect", inner, **place, width=width - gap, class_=cls, fill_opacity=round(bar.shade, 3))
        return joined([made, _text(x + width / 2, self.y(bar.row) + 4, bar.text, "middle")])

    def picture(self, picture: Picture) -> Markup:
        """An image in its cell, with its pixels as they are."""
        size = self.panel.row_height - 2
        inner = tag("title", picture.about) if picture.about else _NOTHING
        place = {"x": self.x(picture.column) + 1, "y": self.y(picture.row) - size / 2}
        data = f"data:image/png;base64,{b64encode(png_of(picture.pixels)).decode()}"
        return tag("image", inner, **place, width=size, height=size, image_rendering="pixelated", href=data)


def _short(name: str) -> str:
    return name if len(name) <= _MOST_CHARACTERS else f"{name[: _MOST_CHARACTERS - 1]}…"


def _text(
    x: float, y: float, text: str, anchor: str = "start", cls: str | None = None, whole: str = ""
) -> Markup:
    """Nothing where there is no text; where it is cut, the whole is told to those who point at it."""
    more = tag("title", whole) if whole not in ("", text) else _NOTHING
    return tag("text", text, more, x=x, y=y, text_anchor=anchor, class_=cls) if text else _NOTHING


def _finite(points: pd.DataFrame, *columns: str) -> list[tuple[float, ...]]:
    rows = points[list(columns)].itertuples(index=False, name=None)
    return [row for row in rows if all(map(math.isfinite, row))]


def _path(places: Sequence[_Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _line(path: str, series: int, *, width: float | None = None) -> Markup:
    dash = " ".join(f"{_LINE * part:.1f}" for part in DASHES[series % len(DASHES)]) or None
    cls = f"line c{series % N_COLOURS}"
    return tag("path", d=path, class_=cls, stroke_dasharray=dash, stroke_width=width)


def _shape(
    x: float, y: float, series: int, *, size: float = 3.6, hollow: bool = False, inside: str = ""
) -> Markup:
    cls = f"mark c{series % N_COLOURS}" + (" hollow" if hollow else "")
    shape = shape_of(series)
    if shape == "circle":
        return tag("circle", inside, cx=x, cy=y, r=size, class_=cls)
    outline = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "up": [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)],
        "diamond": [(0, -1.3), (1.1, 0), (0, 1.3), (-1.1, 0)],
        "down": [(0, 1.2), (1.1, -0.9), (-1.1, -0.9)],
        "plus": _cross(0.0),
        "cross": _cross(math.pi / 4),
        "star": [
            (r * math.sin(k * math.pi / 5), -r * math.cos(k * math.pi / 5))
            for k in range(10)
            for r in [1.4 if k % 2 == 0 else 0.6]
        ],
    }[shape]
    return tag(
        "path", inside, d=_path([(x + size * dx, y + size * dy) for dx, dy in outline]) + "Z", class_=cls
    )


def _cross(turn: float) -> list[_Point]:
    """One arm after the other, each turned by a right angle (times i)."""
    arm = (-0.4 - 1.3j, 0.4 - 1.3j, 0.4 - 0.4j)
    corners = [corner * 1j**k * cmath.rect(1, turn) for k in range(4) for corner in arm]
    return [(corner.real, corner.imag) for corner in corners]


def patterns() -> Markup:
    """The fills of categories; one SVG for a whole page."""
    made = []
    for name, path in _HATCHES.items():
        hatch = tag("path", d=path, class_="hatch") if path else _NOTHING
        back = tag("rect", width=6, height=6, class_=f"k-{name}")
        made.append(
            tag("pattern", back, hatch, id=f"p-{name}", width=6, height=6, patternUnits="userSpaceOnUse")
        )
    return tag("svg", tag("defs", *made), width=0, height=0, aria_hidden="true", class_="defs")


def swatch(series: int, *, line: bool = True) -> Markup:
    """A piece of a series' line with its mark, for legends."""
    below = _line("M1 7L29 7", series) if line else _NOTHING
    return _legend_box(below, _shape(15, 7, series, size=4))


def category_swatch(name: Category) -> Markup:
    """A piece of a category's fill, for legends."""
    return _legend_box(tag("rect", x=1, y=1, width=28, height=12, fill=f"url(#p-{name})", class_="bar"))


def _legend_box(*inside: str) -> Markup:
    return tag("svg", *inside, viewBox="0 0 30 14", class_="swatch", aria_hidden="true")
