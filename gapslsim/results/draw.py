"""Draws a `Drawing` with matplotlib: for PNG, SVG and PDF. Marks and dashes tell series apart without colour."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any, Final

from gapslsim.results.drawing import Drawing, Line, Panel
from gapslsim.results.plots import SHAPES, finish_axes, new_figure, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

__all__ = ["draw"]

_DASHES: Final[tuple[Any, ...]] = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 3)), (0, (8, 3, 1, 3, 1, 3)))
_N_COLOURS: Final = 10
_CHARACTERS_PER_INCH: Final = 15
_CAPTION_SIZE: Final = 8


def draw(drawing: Drawing) -> Figure:
    """The figure: heading, panels in rows, names of series, caption below."""
    return _draw_panels(drawing) if drawing.panels else _draw_table(drawing)


def _draw_panels(drawing: Drawing) -> Figure:
    n_columns = min(drawing.n_columns, len(drawing.panels))
    n_rows = math.ceil(len(drawing.panels) / n_columns)
    height = max(_height(panel, len(drawing.series)) for panel in drawing.panels)
    names = [name for name in drawing.series if name]
    width = max(6.4, 3.6 * n_columns)
    figure, inside = _framed(drawing, width, height * n_rows + 0.5 + 0.1 * len(names))
    grid = inside.subplots(n_rows, n_columns, squeeze=False)
    for axes in list(grid.flat)[len(drawing.panels) :]:
        axes.remove()
    for number, (axes, panel) in enumerate(zip(grid.flat, drawing.panels, strict=False)):
        is_first = number % n_columns == 0
        _draw_panel(axes, panel, drawing, is_first)
    _share_ranges(drawing, list(grid.flat))
    if names:
        marks = {line.series: line for panel in drawing.panels for line in panel.lines}
        is_line = any(panel.style != "rows" for panel in drawing.panels)
        most = max(1, int(width / 1.7))
        handles = [_handle(drawing.series[number], number, is_line) for number in sorted(marks)]
        inside.legend(
            handles=handles, loc="outside lower center", ncols=math.ceil(len(handles) / math.ceil(len(handles) / most)),
            fontsize="small", frameon=False,
        )  # fmt: skip
    return figure


def _draw_table(drawing: Drawing) -> Figure:
    from matplotlib.transforms import Bbox

    head, rows = drawing.table.head, drawing.table.rows
    wrapped = ["\n".join(textwrap.wrap(name, 18)) for name in head]
    chars = [
        max(len(line) for text in [top, *(row[i] for row in rows)] for line in text.split("\n") or [""])
        for i, top in enumerate(wrapped)
    ]
    width = max(6.4, 0.4 + sum(max(n, 4) + 3 for n in chars) / 12)
    lines = max(name.count("\n") + 1 for name in wrapped)
    figure, inside = _framed(drawing, width, 0.7 + 0.27 * len(rows) + 0.2 * lines)
    axes = inside.subplots()
    axes.axis("off")
    total = sum(max(n, 4) + 3 for n in chars)
    table = axes.table(
        cellText=[list(row) for row in rows],
        colLabels=wrapped,
        colWidths=[(max(n, 4) + 3) / total for n in chars],
        cellLoc="right",
        bbox=Bbox.unit(),
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    share = 0.9 * lines / (len(rows) + 0.9 * lines + 0.1)
    for (row, column), cell in table.get_celld().items():
        cell.set_height(share if row == 0 else (1 - share) / max(1, len(rows)))
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
        height: of what lies above the caption [in].
    """
    n = int(width * _CHARACTERS_PER_INCH)
    caption = textwrap.wrap(" ".join(drawing.caption), n)
    below = 0.15 * len(caption) + 0.1
    figure = new_figure(width, height + below)
    inside, foot = figure.subfigures(2, 1, height_ratios=[height, below], squeeze=False)[:, 0]
    heading = ": ".join(filter(None, [drawing.title, drawing.question]))
    inside.suptitle(textwrap.fill(heading, int(n * 0.75)), fontsize=10)
    foot.text(0.5, 1.0, "\n".join(caption), ha="center", va="top", fontsize=_CAPTION_SIZE, color="0.35")
    return figure, inside


def _height(panel: Panel, n_series: int) -> float:
    if panel.style != "rows":
        return 2.7
    return 1.0 + len(panel.rows) * max(0.3, 0.14 * n_series)


def _draw_panel(axes: Axes, panel: Panel, drawing: Drawing, is_first: bool) -> None:
    if panel.log:
        axes.set_xscale("log")
    for index, line in enumerate(panel.lines):
        if panel.style == "curves":
            _draw_curve(axes, line)
        else:
            _draw_points(axes, panel, line, index)
    scale = ", log scale" if panel.log else ""
    if panel.style == "rows":
        axes.set_yticks(range(len(panel.rows)), panel.rows if is_first else [""] * len(panel.rows))
        axes.set_ylim(len(panel.rows) - 0.5, -0.5)
        finish_axes(axes, panel.y_label + scale, "")
    else:
        finish_axes(axes, panel.x_label + scale, panel.y_label)
    if panel.style == "points":
        ticks = sorted({float(x) for line in panel.lines for x in line.points["x"]})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    axes.set_title("\n".join(textwrap.wrap(panel.title, 44)), fontsize=9)


def _draw_curve(axes: Axes, line: Line) -> None:
    points, colour = line.points, _colour(line.series)
    every = max(1, len(points) // 8)
    axes.plot(
        points["x"], points["mean"], color=colour, linestyle=_DASHES[line.series % len(_DASHES)],
        marker=_shape(line.series), markevery=(min(line.series, len(points) - 1) % every if len(points) else 0, every),
        markersize=4, linewidth=1.4,
    )  # fmt: skip
    if (points["high"] > points["low"]).any():
        axes.fill_between(points["x"], points["low"], points["high"], color=colour, alpha=0.15, linewidth=0)


def _draw_points(axes: Axes, panel: Panel, line: Line, index: int) -> None:
    points, colour = line.points.dropna(subset=["mean"]), _colour(line.series)
    in_rows = panel.style == "rows"
    # In a row, series lie one below the other.
    shift = (index - (len(panel.lines) - 1) / 2) * 0.7 / len(panel.lines) if in_rows else 0.0
    # Where all seeds agree, their mean may lie a rounding beside them.
    bars = [(points["mean"] - points["low"]).clip(lower=0), (points["high"] - points["mean"]).clip(lower=0)]
    places, numbers = points["x"] + shift, points["mean"]
    if in_rows:
        axes.errorbar(numbers, places, xerr=bars, fmt="none", ecolor=colour, elinewidth=1.2, capsize=2)
    else:
        dashes = _DASHES[line.series % len(_DASHES)]
        axes.plot(places, numbers, color=colour, linestyle=dashes, linewidth=1.2)
        axes.errorbar(places, numbers, yerr=bars, fmt="none", ecolor=colour, elinewidth=1.2, capsize=2)
    for place, number, reached in zip(places, numbers, points["reached"], strict=True):
        at = (number, place) if in_rows else (place, number)
        axes.plot(
            *at, color=colour, marker=_shape(line.series), markersize=5.5, linestyle="none",
            markerfacecolor=colour if reached else "white",
        )  # fmt: skip
        if not reached:
            offset = (16, 0) if in_rows else (0, 16)
            arrow = {"arrowstyle": "->", "color": colour}
            axes.annotate(
                "", at, xytext=offset, textcoords="offset points", arrowprops=arrow | {"arrowstyle": "<-"}
            )


def _share_ranges(drawing: Drawing, grid: list[Axes]) -> None:
    """Panels of one quantity get one range, so that they compare at sight."""
    for label in dict.fromkeys(panel.y_label for panel in drawing.panels):
        own = [(a, p) for a, p in zip(grid, drawing.panels, strict=False) if p.y_label == label]
        in_rows, log = own[0][1].style == "rows", own[0][1].log
        ranges = [axes.get_xlim() if in_rows else axes.get_ylim() for axes, _ in own]
        low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
        if not all(line.points["reached"].all() for _, panel in own for line in panel.lines):
            # Room for arrows.
            high = high * (high / low) ** 0.1 if in_rows and log else high + 0.08 * (high - low)
        if own[0][1].zero and not (in_rows and log):
            low = 0.0
        for axes, _ in own:
            if in_rows:
                axes.set_xlim(low, high)
            else:
                axes.set_ylim(low, high)


def _handle(name: str, series: int, is_line: bool) -> Line2D:
    from matplotlib.lines import Line2D

    dashes: Any = _DASHES[series % len(_DASHES)] if is_line else "none"
    return Line2D(
        [], [], color=_colour(series), linestyle=dashes, marker=_shape(series), markersize=5, label=name
    )


def _colour(series: int) -> tuple[float, float, float]:
    return palette(_N_COLOURS)[series % _N_COLOURS]


def _shape(series: int) -> str:
    return SHAPES[(series + series // _N_COLOURS) % len(SHAPES)]
