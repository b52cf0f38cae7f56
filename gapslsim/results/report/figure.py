"""A figure of the page: panels, a legend and a caption in words that were computed from the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from gapslsim.results.report.svg import swatch, tag

__all__ = ["Figure", "Panel", "and_list", "legend", "seeds_words"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot with its heading."""

    title: str
    svg: str
    wide: bool = False
    """Takes the whole width; on a phone it scrolls sideways within its own frame."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Panels under one heading. Texts are plain; they are escaped when the page is written."""

    id: str
    title: str
    panels: Sequence[Panel]
    caption: Sequence[str]
    """How to read it, then what it shows, a sentence each."""
    legend: str = ""
    """HTML."""
    more: Sequence[tuple[str, Sequence[Panel], Sequence[str]]] = ()
    """Folded parts: heading, panels, caption."""
    table: str = ""
    """HTML; below the caption."""

    def html(self) -> str:
        """The figure as HTML."""
        parts = [
            tag("h2", escape(self.title)),
            self.legend,
            _panels(self.panels) if self.panels else "",
        ]
        parts += [tag("figcaption", _told(self.caption)), self.table]
        for heading, panels, caption in self.more:
            inside = tag("summary", escape(heading)) + _panels(panels)
            parts.append(tag("details", inside + tag("div", _told(caption), class_="caption")))
        return tag("figure", "".join(parts), id=self.id)


def _told(caption: Sequence[str]) -> str:
    """The first sentence as a paragraph, the others as a list."""
    first, *rest = [escape(text) for text in caption if text] or [""]
    items = tag("ul", "".join(tag("li", text) for text in rest)) if rest else ""
    return tag("p", first) + items


def _panels(panels: Iterable[Panel]) -> str:
    made = []
    for panel in panels:
        heading = tag("h3", escape(panel.title)) if panel.title else ""
        frame = tag("div", panel.svg, class_="scroll", tabindex="0") if panel.wide else panel.svg
        made.append(tag("div", heading + frame, class_="panel wide" if panel.wide else "panel"))
    return tag("div", "".join(made), class_="panels")


def legend(names: Sequence[str], *, line: bool = True, numbers: Sequence[int] | None = None) -> str:
    """Names beside their lines and marks, as a list."""
    which = numbers if numbers is not None else range(len(names))
    items = [
        tag("li", swatch(number, line=line) + escape(name)) for number, name in zip(which, names, strict=True)
    ]
    return tag("ul", "".join(items), class_="legend")


def seeds_words(n: int) -> str:
    """What a line and a band are, by the number of seeds."""
    if n < 2:
        return "Each line is one run (one seed)."
    return f"Lines are means over up to {n} seeds, bands reach from the lowest to the highest seed."


def and_list(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
