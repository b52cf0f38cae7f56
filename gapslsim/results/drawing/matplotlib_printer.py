"""Prints a `Drawing` with matplotlib: for PNG, SVG and PDF. Marks and dashes tell series apart without colour.

A figure belongs to no window and to no global state. Matplotlib is imported when one is made. Text stays text: PDF has
whole fonts (Type 42, as publishers ask), and SVG has letters, not outlines.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gapslsim.errors import ResultsError, did_you_mean
from gapslsim.results.categories import CATEGORIES, LABELS, Category
from gapslsim.results.drawing import palette
from gapslsim.results.drawing.drawing import (
    DASHES,
    N_COLOURS,
    SHAPES,
    Bar,
    Curve,
    Drawing,
    Mark,
    Panel,
    Picture,
    Scale,
    Span,
    shape_of,
)  # fmt: skip
from gapslsim.results.outputs import check_replaces, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["Print", "draw", "look", "save"]

_MARKERS: Final = dict(zip(SHAPES, "os^DvPX*", strict=True))

_CHARACTERS_PER_INCH: Final = 15
_INCHES_PER_UNIT: Final = 0.3 / 22
"""Of the heights of rows."""
_SOFT: Final = "0.35"
_LEAST_WIDTH: Final = 2.4
"""Of a panel in a picture whose width is given [in]."""
_NARROW: Final = 5.0


@dataclass(frozen=True, slots=True)
class Print:
    """How a picture is printed."""

    width_in: float | None = None
    """Of the whole [in], a column of a paper say; by what is drawn unless given."""
    font: str | None = None
    """Family of all letters; matplotlib's own unless given."""
    title: bool = True
    """Whether it has its heading and its caption; a paper has its own."""
    dpi: float = 150
    """Of PNG [dots/in]."""

    @property
    def style(self) -> Any:
        """For `matplotlib.rcParams`.

        Raises:
            ResultsError: if the font is not installed.
        """
        from matplotlib.font_manager import get_font_names

        if self.font is None:
            named = {}
        elif self.font in ("serif", "sans-serif", "monospace") or self.font in get_font_names():
            named = {"font.family": self.font}
        else:
            near = did_you_mean(self.font, get_font_names())
            raise ResultsError(
                f"the font {self.font!r} is not installed.{near} Install it, or write serif, sans-serif or monospace"
            )
        return {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none", **named}


def save(drawing: Drawing, path: str | Path, how: Print = Print()) -> Path:
    """Prints a drawing into a file; the ending of the name gives the format (png, svg, pdf).

    Raises:
        ResultsError: if the format or the font is unknown, or the file cannot be written.
    """
    from matplotlib import rc_context

    target = Path(path)
    with rc_context(how.style):
        write_figure(draw(drawing, how), target, how.dpi)
    return target


def write_figure(figure: Figure, path: Path, dpi: float = 150.0) -> None:
    """Writes a figure, whole or not at all, and never over another file; the ending of the name gives the format.

    Raises:
        ResultsError: if the format is unknown, another file is there, or it cannot be written.
    """
    ending, known = path.suffix.lstrip(".").lower(), sorted(figure.canvas.get_supported_filetypes())
    if ending not in known:
        raise ResultsError(
            f"{path}: {path.suffix or 'no ending'} is no picture format; use {', '.join(known)}"
        )
    check_replaces(path)
    with whole(path) as unfinished:
        figure.savefig(unfinished, format=ending, dpi=dpi)


def draw(drawing: Drawing, how: Print = Print()) -> Figure:
    """The figure: heading, panels in rows, names of series, caption below; or the table where it has no panels."""
    if not how.title:
        drawing = replace(drawing, title="", question="", caption=())
    if not drawing.panels:
        return _draw_table(drawing, how.width_in)
    n_columns = min(drawing.n_columns, sum(not panel.wide for panel in drawing.panels)) or 1
    if how.width_in is not None:
        n_columns = min(n_columns, max(1, int(how.width_in / _LEAST_WIDTH)))
    lines = [
        [panels[i : i + (1 if wide else n_columns)] for i in range(0, len(panels), 1 if wide else n_columns)]
        for wide, group in groupby(drawing.panels, lambda panel: panel.wide)
        for panels in [list(group)]
    ]
    grid = [line for group in lines for line in group]
    heights = [max(map(_height, line)) for line in grid]
    width = how.width_in or max(6.4 if n_columns > 1 or drawing.series else 8.0, 3.6 * n_columns)
    figure, inside = _framed(drawing, width, sum(heights) + 0.1 * len(drawing.shown))
    places = inside.add_gridspec(len(grid), n_columns, height_ratios=heights)
    for index, line in enumerate(grid):
        for column, panel in enumerate(line):
            axes = inside.add_subplot(places[index, slice(None) if panel.wide else column])
            _draw_panel(axes, panel, is_named=column == 0 or panel.rows != line[0].rows)
            if panel.has_categories and column == len(line) - 1:
                _name_categories(axes, panel, below=width < _NARROW)
    if drawing.shown:
        _name_series(inside, drawing, width)
    return figure


def look(dpi: float) -> dict[str, Any]:
    """The look of all figures for `matplotlib.rcParams`: for plots of one's own beside them, in notebooks.

    Args:
        dpi: of pictures within the notebook [dots/in].
    """
    from cycler import cycler

    series = range(N_COLOURS)
    styles = cycler(color=[_colour(n) for n in series]) + cycler(marker=[_marker(n) for n in series])
    return {
        "figure.dpi": dpi, "axes.spines.top": False, "axes.spines.right": False, "lines.markersize": 4,
        "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True,
        "axes.prop_cycle": styles + cycler(linestyle=[_dashes(n) for n in series]),
    }  # fmt: skip


def _draw_table(drawing: Drawing, width_in: float | None) -> Figure:
    """The table alone."""
    from matplotlib.transforms import Bbox

    shown = drawing.table
    wrapped = ["\n".join(textwrap.wrap(name, 18)) for name in shown.head]
    columns = zip(wrapped, *shown.rows, strict=True)
    chars = [max(4, *(len(line) for text in own for line in text.split("\n"))) + 3 for own in columns]
    lines = max((name.count("\n") + 1 for name in wrapped), default=1)
    usual = max(6.4, 0.4 + sum(chars) / 12)
    width = width_in or usual
    figure, inside = _framed(drawing, width, 0.2 + 0.27 * len(shown.rows) + 0.2 * lines)
    axes = inside.subplots()
    axes.axis("off")
    table = axes.table(
        cellText=[list(row) for row in shown.rows], colLabels=wrapped, cellLoc="right",
        colWidths=[n / sum(chars) for n in chars], bbox=Bbox.unit(), edges="horizontal",
    )  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(9 * min(1.0, width / usual))
    share = 0.9 * lines / (len(shown.rows) + 0.9 * lines + 0.1)
    for (row, column), cell in table.get_celld().items():
        cell.set_height(share if row == 0 else (1 - share) / max(1, len(shown.rows)))
        cell.set_linewidth(0.5)
        if column == 0:
            cell.set_text_props(ha="left")
        if row == 0:
            cell.set_text_props(weight="bold")
    return figure


def _framed(drawing: Drawing, width: float, height: float) -> tuple[Figure, SubFigure]:
    """The whole with its heading and its caption, and the part between them.

    Args:
        drawing: what is drawn.
        width: of the whole [in].
        height: of what lies between them [in].
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n = int(width * _CHARACTERS_PER_INCH)
    heading = ": ".join(filter(None, [drawing.title, drawing.question]))
    height += 0.5 if heading else 0.0
    caption = textwrap.wrap(" ".join(drawing.caption), n)
    below = 0.15 * len(caption) + 0.1 if caption else 0.01
    figure = Figure(figsize=(width, height + below), layout="constrained")
    FigureCanvasAgg(figure)
    inside, foot = figure.subfigures(2, 1, height_ratios=[height, below], squeeze=False)[:, 0]
    if heading:
        inside.suptitle(textwrap.fill(heading, int(n * 0.75)), fontsize=10)
    foot.text(0.5, 1.0, "\n".join(caption), ha="center", va="top", fontsize=8, color=_SOFT)
    return figure, inside


def _height(panel: Panel) -> float:
    if panel.rows:
        return 1.0 + _INCHES_PER_UNIT * panel.row_height * len(panel.rows)
    return 2.7 / 230 * panel.height


def _draw_panel(axes: Axes, panel: Panel, is_named: bool) -> None:
    for part in panel.parts:
        if isinstance(part, Curve):
            _draw_curve(axes, part)
        elif isinstance(part, Span):
            _draw_span(axes, part)
        elif isinstance(part, Bar):
            _draw_bar(axes, part, by_height=0.9 if panel.columns else 0.8)
        elif isinstance(part, Picture):
            _draw_picture(axes, part)
    _draw_marks(axes, [part for part in panel.parts if isinstance(part, Mark)])
    _set_scale(axes, "x", panel.x, 8 if panel.wide else 5)
    axes.set_title("\n".join(textwrap.wrap(panel.title, 44)), fontsize=9)
    if panel.rows:
        axes.set_yticks(range(len(panel.rows)), [row.name if is_named else "" for row in panel.rows])
        axes.set_ylim(len(panel.rows) - 0.5, -0.5)
        axes.set_ylabel(panel.y.label)
        for text, row in zip(axes.get_yticklabels(), panel.rows, strict=True):
            text.set_fontweight("bold" if row.strong else "normal")
        for number, row in enumerate(panel.rows):
            # Beside the axes, whatever lies along them.
            axes.annotate(
                row.note, (1.01, number), xycoords=("axes fraction", "data"), va="center", fontsize="small",
                color=_SOFT,
            )  # fmt: skip
    else:
        _set_scale(axes, "y", panel.y)
    if panel.columns:
        axes.set_xticks([n + 0.5 for n in range(len(panel.columns))], panel.columns)
        axes.set_aspect("equal")
    else:
        axes.grid(True, alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _set_scale(axes: Axes, which: str, scale: Scale, n_ticks: int = 5) -> None:
    """Label, ends and ticks of one axis."""
    ticks = scale.ticks(n_ticks)
    axes.set(**{f"{which}scale": "log" if scale.log else "linear", f"{which}label": scale.text})
    axes.set(**{f"{which}ticks": ticks, f"{which}ticklabels": [f"{tick:g}" for tick in ticks]})
    axes.set(**{f"{which}lim": (scale.low, scale.high)})
    axes.minorticks_off()


def _draw_curve(axes: Axes, curve: Curve) -> None:
    points, series = curve.points, curve.series
    colour: Any = _SOFT if series is None else _colour(series)
    place = 0 if series is None else series
    every = max(1, len(points) // 8)
    axes.plot(
        points["x"], points["mean"], color=colour, linestyle="--" if series is None else _dashes(series),
        marker=_marker(place) if curve.marks and series is not None else "",
        markevery=(min(place, len(points) - 1) % every if len(points) else 0, every), markersize=4,
        linewidth=0.7 if curve.thin else 1.0 if series is None else 1.4,
    )  # fmt: skip
    if "high" in points and (points["high"] > points["low"]).any():
        axes.fill_between(
            points["x"], points["low"], points["high"], color=colour, alpha=0.15, linewidth=0, zorder=1
        )


def _draw_marks(axes: Axes, marks: list[Mark]) -> None:
    """Those that are alike and follow one another at once: there may be thousands."""
    for (series, beyond, size), group in groupby(marks, lambda mark: (mark.series, mark.beyond, mark.size)):
        places, colour = [(mark.x, mark.y) for mark in group], _colour(series)
        axes.plot(
            *zip(*places, strict=True), color=colour, marker=_marker(series), markersize=5.5 * size,
            linestyle="none", markerfacecolor="white" if beyond else colour,
        )  # fmt: skip
        for place in places if beyond else ():
            axes.annotate(
                "", place, xytext=(16, 0) if beyond == "right" else (0, 16), textcoords="offset points",
                arrowprops={"arrowstyle": "<-", "color": colour},
            )  # fmt: skip


def _draw_span(axes: Axes, span: Span) -> None:
    is_upright = span.x[0] == span.x[1]
    axes.plot(
        span.x, span.y, color=_SOFT if span.series is None else _colour(span.series), linestyle="-",
        linewidth=2.5 if span.strong else 1.2, marker="" if span.strong else "_" if is_upright else "|", markersize=4,
        zorder=3 if span.strong else 1.5,
    )  # fmt: skip


def _draw_bar(axes: Axes, bar: Bar, by_height: float) -> None:
    colours: dict[str, Any] = {"facecolor": "none", "edgecolor": "black", "linewidth": 1.2, "zorder": 3}
    if bar.fill is not None:
        colour = _colour(bar.fill) if isinstance(bar.fill, int) else _category_colour(bar.fill)
        colours = {"color": (*colour, bar.shade), "edgecolor": "white", "linewidth": 0.3}
    axes.barh(bar.row, bar.end - bar.begin, left=bar.begin, height=by_height, **colours)
    if bar.text:
        axes.annotate(bar.text, ((bar.begin + bar.end) / 2, bar.row), ha="center", va="center", fontsize=7)


def _draw_picture(axes: Axes, picture: Picture) -> None:
    height, width = picture.pixels.shape[:2]
    across, up = (0.47 * side / max(height, width) for side in (width, height))
    middle, row = picture.column + 0.5, picture.row
    place = (middle - across, middle + across, row + up, row - up)
    axes.imshow(picture.pixels, cmap="gray", vmin=0, vmax=255, extent=place, interpolation="nearest")


_INCHES_PER_SIGN = 0.075
"""Of names beside marks, at most."""


def _name_series(inside: SubFigure, drawing: Drawing, width: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_colour(number), linestyle=_dashes(number) if drawing.has_lines else "none",
               marker=_marker(number), markersize=5, label=drawing.series[number])
        for number in drawing.shown
    ]  # fmt: skip
    longest = max((len(drawing.series[number]) for number in drawing.shown), default=0)
    each = max(1.7, 0.5 + _INCHES_PER_SIGN * longest)
    n_lines = math.ceil(len(handles) / max(1, int(width / each)))
    inside.legend(
        handles=handles, loc="outside lower center", ncols=math.ceil(len(handles) / n_lines), fontsize="small",
        frameon=False,
    )  # fmt: skip


def _name_categories(axes: Axes, panel: Panel, below: bool) -> None:
    from matplotlib.patches import Patch

    right = 1.25 if any(row.note for row in panel.rows) else 1.01
    handles = [Patch(color=_category_colour(name), label=LABELS[name]) for name in CATEGORIES]
    where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (right, 1.0)}
    if below:
        where = {"loc": "upper center", "bbox_to_anchor": (0.4, -0.35), "ncols": 2}
    axes.legend(handles=handles, fontsize="small", frameon=False, **where)


def _colour(series: int) -> tuple[float, float, float]:
    return _rgb(palette.SERIES_LIGHT[series % N_COLOURS])


def _category_colour(name: Category) -> tuple[float, float, float]:
    return _rgb(palette.CATEGORY_LIGHT[name])


def _rgb(code: str) -> tuple[float, float, float]:
    red, green, blue = bytes.fromhex(code.removeprefix("#"))
    return red / 255, green / 255, blue / 255


def _marker(series: int) -> str:
    return _MARKERS[shape_of(series)]


def _dashes(series: int) -> Any:
    dashes = DASHES[series % len(DASHES)]
    return (0, dashes) if dashes else "-"
