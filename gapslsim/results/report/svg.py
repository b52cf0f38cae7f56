"""Small plots as SVG text: colours come from the page's style, so that they follow light and dark mode.

A plot is drawn for 380 units of width, which is a phone's, and scales up. Nothing but text, paths and rectangles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

__all__ = ["SHAPES", "WIDTH", "Plot", "Scale", "marker", "swatch", "tag"]

WIDTH: Final = 380.0
SHAPES: Final = ("circle", "square", "up", "diamond", "down", "plus", "cross", "star")
DASHES: Final = ("", "6 3", "2 2", "8 3 2 3", "4 4", "1 3", "10 4", "6 2 2 2 2 2")
N_SERIES: Final = 8
"""Colours of series in the page's style; more series take the colours again with other marks."""

Point = tuple[float, float]


def tag(name: str, content: str = "", **attributes: object) -> str:
    """An element; `_` in names of attributes is written `-`, a trailing `_` is dropped. Content is not escaped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


class Scale:
    """From numbers to places along an axis, linear or logarithmic, with round ticks."""

    def __init__(self, low: float, high: float, *, log: bool = False, n_ticks: int = 5) -> None:
        if log:
            self.low, self.high = low, max(high, low * 1.01)
        else:
            self.low, self.high = low, high if high > low else low + max(abs(low), 1.0) * 1e-3
        self.log = log
        self._n_ticks = n_ticks

    @classmethod
    def over(cls, values: Sequence[float], *, zero: bool = False, may_log: bool = False) -> Scale:
        """A scale on which all values lie; logarithmic, if allowed, where they span more than a factor of 12."""
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        positive = [value for value in finite if value > 0]
        if may_log and positive and min(positive) == low and high > 12 * low:
            return cls(low / 1.1, high * 1.1, log=True)
        if zero:
            low = min(0.0, low)
        room = 0.05 * (high - low)
        return cls(low if zero and low == 0 else low - room, high + room)

    def share(self, value: float) -> float:
        """Place in [0, 1]."""
        if self.log:
            value = max(value, self.low)
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round numbers on the axis."""
        if self.log:
            return self._log_ticks()
        step = 10 ** math.floor(math.log10((self.high - self.low) / self._n_ticks))
        step *= next(m for m in (1, 2, 5, 10) if (self.high - self.low) / (m * step) <= self._n_ticks + 0.5)
        first = math.ceil(self.low / step - 1e-9)
        ticks = [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        # Where the axis is as short as the rounding of its numbers, a tick may have been rounded off it.
        return [tick for tick in ticks if -1e-6 <= self.share(tick) <= 1 + 1e-6]

    def _log_ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            ticks = [s * 10.0**d for d in decades for s in steps if self.low <= s * 10.0**d <= self.high]
            if len(ticks) <= self._n_ticks + 1:
                break
        return ticks or [self.low, self.high]


class Plot:
    """A frame with two axes into which lines, bands and marks are drawn.

    Args:
        x: along the width.
        y: along the height, upwards.
        height: of the whole [units].
        left: room for the labels on the left [units].
        top: room above the frame [units].
        right: room on the right [units].
        width: of the whole [units].
    """

    def __init__(
        self,
        x: Scale,
        y: Scale,
        *,
        height: float = 250.0,
        left: float = 46.0,
        top: float = 24.0,
        right: float = 10.0,
        width: float = WIDTH,
    ) -> None:
        self.x, self.y = x, y
        self.width, self.height = width, height
        self.left, self.top, self.right, self.bottom = left, top, right, 38.0
        self._parts: list[str] = []

    def at(self, x: float, y: float) -> Point:
        """Place of a point."""
        return self.at_x(x), self.at_y(y)

    def at_x(self, x: float) -> float:
        """Place along the width."""
        return self.left + self.x.share(x) * (self.width - self.left - self.right)

    def at_y(self, y: float) -> float:
        """Place along the height."""
        return self.height - self.bottom - self.y.share(y) * (self.height - self.bottom - self.top)

    def add(self, part: str) -> None:
        """Draws anything."""
        self._parts.append(part)

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", cls: str | None = None) -> None:
        """Text at a place; it is escaped."""
        self.add(tag("text", escape(text), x=x, y=y, text_anchor=anchor, class_=cls))

    def axes(
        self,
        x_label: str,
        y_label: str = "",
        *,
        x_format: str = "{:g}",
        y_format: str = "{:g}",
        y_ticks: bool = True,
    ) -> None:
        """Grid, ticks and labels; call it first, so that all else lies above."""
        floor = self.height - self.bottom
        for tick in self.x.ticks():
            place = self.at_x(tick)
            self.add(tag("line", x1=place, x2=place, y1=self.top, y2=floor, class_="grid"))
            self.text(place, floor + 14, x_format.format(tick), anchor="middle")
        if y_ticks:
            for tick in self.y.ticks():
                place = self.at_y(tick)
                self.add(
                    tag("line", x1=self.left, x2=self.width - self.right, y1=place, y2=place, class_="grid")
                )
                self.text(self.left - 5, place + 4, y_format.format(tick), anchor="end")
        self.add(tag("line", x1=self.left, x2=self.width - self.right, y1=floor, y2=floor, class_="axis"))
        middle = (self.left + self.width - self.right) / 2
        self.text(middle, self.height - 6, x_label, anchor="middle", cls="label")
        if y_label:
            self.text(2, self.top - 9, y_label, cls="label")

    def line(self, points: Sequence[Point], series: int, *, marks: bool = True, thin: bool = False) -> None:
        """A line in the colour, dash and marks of a series."""
        places = [self.at(*point) for point in points if all(map(math.isfinite, point))]
        if not places:
            return
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        dash = DASHES[series % len(DASHES)] or None
        cls = f"line c{series % N_SERIES}" + (" thin" if thin else "")
        self.add(tag("path", d=path, class_=cls, stroke_dasharray=dash))
        if marks:
            every = max(1, round(len(places) / 6))
            shift = series % every
            for x, y in [*places[shift:-1:every], places[-1]]:
                self.add(marker(x, y, series))

    def band(self, points: Sequence[tuple[float, float, float]], series: int) -> None:
        """An area between two curves: x, low, high."""
        good = [point for point in points if all(map(math.isfinite, point))]
        if len(good) < 2:
            return
        there = [self.at(x, high) for x, _, high in good]
        back = [self.at(x, low) for x, low, _ in reversed(good)]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in [*there, *back]) + "Z"
        self.add(tag("path", d=path, class_=f"band c{series % N_SERIES}"))

    def svg(self, title: str, about: str = "") -> str:
        """The whole as an SVG element with a text for those who do not see it."""
        named = tag("title", escape(title)) + (tag("desc", escape(about)) if about else "")
        box = f"0 0 {self.width:g} {self.height:g}"
        return tag("svg", named + "".join(self._parts), viewBox=box, role="img", class_="plot")


def marker(x: float, y: float, series: int, *, size: float = 3.6, hollow: bool = False) -> str:
    """The mark of a series at a place of the picture."""
    cls = f"mark c{series % N_SERIES}" + (" hollow" if hollow else "")
    shape = SHAPES[(series + series // N_SERIES) % len(SHAPES)]
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=size, class_=cls)
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
    path = "M" + "L".join(f"{x + size * dx:.1f} {y + size * dy:.1f}" for dx, dy in outline) + "Z"
    return tag("path", d=path, class_=cls)


def _cross(turn: float) -> list[Point]:
    arm, half = 1.3, 0.4
    corners = [
        (-half, -arm), (half, -arm), (half, -half), (arm, -half), (arm, half), (half, half),
        (half, arm), (-half, arm), (-half, half), (-arm, half), (-arm, -half), (-half, -half),
    ]  # fmt: skip
    cos, sin = math.cos(turn), math.sin(turn)
    return [(cos * x - sin * y, sin * x + cos * y) for x, y in corners]


def swatch(series: int, *, line: bool = True) -> str:
    """A piece of a series' line with its mark, for legends."""
    dash = DASHES[series % len(DASHES)] or None
    cls = f"line c{series % N_SERIES}"
    parts = tag("path", d="M1 7L29 7", class_=cls, stroke_dasharray=dash) if line else ""
    return tag(
        "svg", parts + marker(15, 7, series, size=4), viewBox="0 0 30 14", class_="swatch", aria_hidden="true"
    )
