"""Figures and tables as HTML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from gapslsim.results.categories import CATEGORIES, LABELS
from gapslsim.results.drawing.drawing import Drawing
from gapslsim.results.drawing.files import csv_of, svg_of
from gapslsim.results.drawing.svg import category_swatch, panel_svg, swatch, tag

__all__ = ["figure_html", "html_table"]


def figure_html(drawing: Drawing) -> str:
    """A figure: heading, legend, panels, caption, table, and what is folded."""
    parts = [tag("h2", escape(drawing.title)), _legend(drawing), _panels(drawing), _downloads(drawing)]
    parts.append(tag("figcaption", _told(drawing.caption)))
    parts.append(html_table(drawing.table.head, drawing.table.rows) if drawing.table.head else "")
    for folded in drawing.more:
        inside = tag("summary", escape(folded.title)) + _panels(folded)
        parts.append(tag("details", inside + tag("div", _told(folded.caption), class_="caption")))
    return tag("figure", "".join(parts), id=drawing.name)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], cls: str = "") -> str:
    """A table from plain texts; the first column names the row. It scrolls sideways within its own frame."""
    top = tag("tr", "".join(tag("th", escape(cell) or "&nbsp;", scope="col") for cell in head))
    body = "".join(
        tag("tr", tag("th", escape(row[0]), scope="row") + "".join(map(_cell, row[1:]))) for row in rows
    )
    table = tag("table", tag("thead", top) + tag("tbody", body), class_=cls or None)
    return tag("div", table, class_="scroll", tabindex="0")


def _cell(text: str) -> str:
    """What stands behind a line break is set small below."""
    first, *rest = text.split("\n")
    return tag("td", (escape(first) or "&nbsp;") + "".join(tag("small", escape(line)) for line in rest))


def _told(caption: Sequence[str]) -> str:
    """The first sentence as a paragraph, the others as a list."""
    first, *rest = [escape(text) for text in caption if text] or [""]
    items = tag("ul", "".join(tag("li", text) for text in rest)) if rest else ""
    return tag("p", first) + items


def _panels(drawing: Drawing) -> str:
    made = []
    for panel in drawing.panels:
        heading = tag("h3", escape(panel.title)) if panel.title else ""
        about = ", ".join(filter(None, [drawing.title, panel.title]))
        cls, svg = "panel", panel_svg(panel, about, drawing.series)
        if panel.wide:
            cls, svg = "panel wide", tag("div", svg, class_="scroll", tabindex="0")
        elif len(drawing.panels) == 1 and not panel.columns:
            # One panel has the whole width for itself; on a phone it is drawn for a phone.
            broad = panel_svg(replace(panel, wide=True, height=300.0), about, drawing.series)
            svg = tag("div", svg, class_="slim") + tag("div", broad, class_="broad")
            cls = "panel wide single"
        made.append(tag("div", heading + svg, class_=cls))
    return tag("div", "".join(made), class_="panels") if made else ""


def _downloads(drawing: Drawing) -> str:
    """What is drawn, as files; they are in the page."""
    if not drawing.panels:
        return ""
    links = []
    for ending, kind, text in (
        ("csv", "text/csv", csv_of(drawing)),
        ("svg", "image/svg+xml", svg_of(drawing)),
    ):
        data = base64.b64encode(text.encode()).decode()
        name = f"{drawing.name or 'figure'}.{ending}"
        links.append(tag("a", ending.upper(), download=name, href=f"data:{kind};charset=utf-8;base64,{data}"))
    return tag("p", f"Download: {' '.join(links)}", class_="downloads")


def _legend(drawing: Drawing) -> str:
    """Names of series and of categories, as lists."""
    series = [swatch(n, line=drawing.has_lines) + escape(drawing.series[n]) for n in drawing.shown]
    fills = [category_swatch(name) + LABELS[name] for name in CATEGORIES] if drawing.has_categories else []
    return "".join(
        tag("ul", "".join(tag("li", item) for item in items), class_="legend")
        for items in (series, fills)
        if items
    )
