"""A figure of the page as files of its own: what is drawn as CSV, and the picture as SVG that needs no page."""

from __future__ import annotations

from typing import Final

import pandas as pd

from gapslsim import csv_text
from gapslsim.results.categories import CATEGORIES, LABELS
from gapslsim.results.drawing.drawing import Bar, Curve, Drawing, Mark, Panel, Span
from gapslsim.results.drawing.markup import Markup, tag
from gapslsim.results.drawing.svg import category_swatch, panel_svg, patterns, size_of, swatch
from gapslsim.results.drawing.svg_style import LIGHT, PLOT

__all__ = ["csv_of", "svg_of"]

_LINE: Final = 20.0
_LEGEND: Final = 150.0
"""Width of a name in the legend."""


def csv_of(drawing: Drawing) -> str:
    """The figure's own numbers, in stored units; else what is drawn, a row per point, mark or bar."""
    table = drawing.numbers
    if table.empty and drawing.panels:
        every = pd.concat([_numbers(drawing, panel) for panel in drawing.panels], ignore_index=True)
        table = every.dropna(axis="columns", how="all")
    return csv_text.csv_of(table)


def _numbers(drawing: Drawing, panel: Panel) -> pd.DataFrame:
    def series(number: int | None) -> str:
        return drawing.series[number] if number is not None and number < len(drawing.series) else ""

    def row(number: float) -> str:
        place = round(number)
        return panel.rows[place].name if 0 <= place < len(panel.rows) else ""

    found: list[pd.DataFrame] = []
    lone: list[dict[str, object]] = []
    for part in panel.parts:
        if isinstance(part, Curve):
            found.append(part.points.assign(series=series(part.series)))
        elif isinstance(part, Mark):
            where = {"row": row(part.y)} if panel.rows else {"mean": part.y}
            bound = "lower bound" if part.beyond else ""
            lone.append({"series": series(part.series), "x": part.x, **where, "about": bound})
        elif isinstance(part, Span) and panel.rows:
            lone.append(
                {"series": series(part.series), "row": row(part.y[0]), "begin": part.x[0], "end": part.x[1]}
            )
        elif isinstance(part, Span):
            lone.append({"series": series(part.series), "x": part.x[0], "low": part.y[0], "high": part.y[1]})
        elif isinstance(part, Bar) and part.fill is not None:
            what = LABELS[part.fill] if isinstance(part.fill, str) else series(part.fill)
            about = part.about or part.text
            lone.append(
                {"series": what, "row": row(part.row), "begin": part.begin, "end": part.end, "about": about}
            )
    table = pd.concat([*found, pd.DataFrame(lone)], ignore_index=True)
    axes = {"along": panel.x.label, "up": panel.y.label}
    for place, (name, value) in enumerate({"panel": panel.title, **axes}.items()):
        table.insert(place, name, value)
    return table


def svg_of(drawing: Drawing) -> str:
    """Heading, names and panels, one below the other, on light ground."""
    width = max((size_of(panel)[0] for panel in drawing.panels), default=380.0)
    made, y = [_text(drawing.title, _LINE, "strong")], 1.5 * _LINE
    named = [(swatch(n, line=drawing.has_lines), drawing.series[n]) for n in drawing.shown]
    named += [(category_swatch(name), LABELS[name]) for name in CATEGORIES] if drawing.has_categories else []
    columns = max(1, int(width / _LEGEND))
    for place, (box, name) in enumerate(named):
        x, top = place % columns * _LEGEND, y + place // columns * _LINE
        made += [_placed(box, x, top, 30, 14), _text(name, top + 11, "label", x + 36)]
    y += -(-len(named) // columns) * _LINE
    for panel in drawing.panels:
        if panel.title:
            y += _LINE
            made.append(_text(panel.title, y - 5, "label"))
        wide, high = size_of(panel)
        made.append(_placed(panel_svg(panel, series=drawing.series), 0, y, wide, high))
        y += high + _LINE / 2
    ground = tag("rect", width=width, height=y, fill="var(--bg)")
    style = tag("style", LIGHT + PLOT)
    fills = [patterns()] if drawing.has_categories else []
    view = f"0 0 {width:g} {y:g}"
    return tag(
        "svg",
        style,
        ground,
        *fills,
        *made,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=view,
        width=width,
        height=y,
    )


def _placed(svg: Markup, x: float, y: float, width: float, height: float) -> Markup:
    place = f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
    return Markup(svg.replace("<svg ", place, 1))


def _text(text: str, y: float, cls: str, x: float = 2) -> Markup:
    return tag("text", text, x=x, y=y, class_=cls)
