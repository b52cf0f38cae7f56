"""Figures and tables as HTML."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from gapslsim.results.categories import CATEGORIES, LABELS
from gapslsim.results.drawing.drawing import Drawing
from gapslsim.results.drawing.files import csv_of, svg_of
from gapslsim.results.drawing.markup import Markup, joined, tag
from gapslsim.results.drawing.svg import category_swatch, panel_svg, swatch

__all__ = ["figure_html", "html_table"]

_SPACE: Final = "\N{NO-BREAK SPACE}"


def figure_html(drawing: Drawing) -> Markup:
    """A figure: heading, legend, panels, caption, table, and what is folded."""
    parts = [tag("h2", drawing.title), _legend(drawing), _panels(drawing), _downloads(drawing)]
    parts.append(tag("figcaption", *_told(drawing.caption)))
    parts.append(_table(drawing))
    for folded in drawing.more:
        told = tag("div", *_told(folded.caption), class_="caption")
        parts.append(tag("details", tag("summary", folded.title), _panels(folded), told, _table(folded)))
    return tag("figure", *parts, id=drawing.name)


def _table(drawing: Drawing) -> Markup:
    shown = drawing.table
    return html_table(shown.head, shown.rows, strong=shown.strong) if shown.head else Markup()


def html_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    cls: str = "",
    strong: Collection[tuple[int, int]] = (),
) -> Markup:
    """A table from plain texts; the first column names the row. It scrolls sideways within its own frame.

    Args:
        head: of the columns.
        rows: of texts.
        cls: of the table, for its style.
        strong: rows and columns of cells that stand out.
    """
    top = tag("tr", *(tag("th", cell or _SPACE, scope="col") for cell in head))
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(_cell(text, (line, column) in strong) for column, text in enumerate(row[1:], 1)),
        )
        for line, row in enumerate(rows)
    ]
    table = tag("table", tag("thead", top), tag("tbody", *body), class_=cls or None)
    return tag("div", table, class_="scroll", tabindex="0")


def _cell(text: str, is_strong: bool) -> Markup:
    """What stands behind a line break is set small below."""
    first, *rest = text.split("\n")
    shown = tag("strong", first) if is_strong else first or _SPACE
    return tag("td", shown, *(tag("small", line) for line in rest))


def _told(caption: Sequence[str]) -> list[Markup]:
    """The first sentence as a paragraph, the others as a list."""
    first, *rest = filter(None, caption) if any(caption) else [""]
    return [tag("p", first), *([tag("ul", *(tag("li", text) for text in rest))] if rest else [])]


def _panels(drawing: Drawing) -> Markup:
    made = []
    for panel in drawing.panels:
        heading = tag("h3", panel.title) if panel.title else ""
        about = ", ".join(filter(None, [drawing.title, panel.title]))
        cls, svg = "panel", panel_svg(panel, about, drawing.series)
        if panel.wide:
            cls, svg = "panel wide", tag("div", svg, class_="scroll", tabindex="0")
        elif len(drawing.panels) == 1 and not panel.columns:
            # One panel has the whole width for itself; on a phone it is drawn for a phone.
            broad = panel_svg(replace(panel, wide=True, height=300.0), about, drawing.series)
            svg = joined([tag("div", svg, class_="slim"), tag("div", broad, class_="broad")])
            cls = "panel wide single"
        made.append(tag("div", heading, svg, class_=cls))
    return tag("div", *made, class_="panels") if made else Markup()


def _downloads(drawing: Drawing) -> Markup:
    """What is drawn, as files; they are in the page."""
    if not drawing.panels:
        return Markup()
    links: list[str] = ["Download:"]
    for ending, kind, text in (
        ("csv", "text/csv", csv_of(drawing)),
        ("svg", "image/svg+xml", svg_of(drawing)),
    ):
        data = base64.b64encode(text.encode()).decode()
        name = f"{drawing.name or 'figure'}.{ending}"
        links += [
            " ",
            tag("a", ending.upper(), download=name, href=f"data:{kind};charset=utf-8;base64,{data}"),
        ]
    return tag("p", *links, class_="downloads")


def _legend(drawing: Drawing) -> Markup:
    """Names of series and of categories, as lists."""
    series = [(swatch(n, line=drawing.has_lines), drawing.series[n]) for n in drawing.shown]
    fills = [(category_swatch(name), LABELS[name]) for name in CATEGORIES] if drawing.has_categories else []
    return joined(
        tag("ul", *(tag("li", *item) for item in items), class_="legend")
        for items in (series, fills)
        if items
    )
