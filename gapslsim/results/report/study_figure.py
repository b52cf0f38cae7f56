"""The study's own figure on the page: the same drawing as `gapslsim figure` writes, in the page's style."""

from __future__ import annotations

import math
from typing import Final

from gapslsim.results.drawing import Drawing, Line, Panel
from gapslsim.results.report import figure as page
from gapslsim.results.report.data import RunSet
from gapslsim.results.report.svg import N_SERIES, Plot, Scale, marker, tag
from gapslsim.results.report.tables import html_table
from gapslsim.results.study import is_study, read_study
from gapslsim.results.study_figure import figure_of
from gapslsim.results.study_tables import has_tables, read_tables

__all__ = ["study_figures"]

_ROW: Final = 22


def study_figures(runs: RunSet) -> list[page.Figure]:
    """One for each study that asks for one and has its tables."""
    made: list[page.Figure] = []
    for path in runs.paths:
        wanted = figure_of(read_study(path)) if is_study(path) and has_tables(path) else None
        if wanted is not None:
            number = f"-{len(made) + 1}" if made else ""
            made.append(_on_page(wanted.draw(read_tables(path)), f"study-figure{number}"))
    return made


def _on_page(drawing: Drawing, name: str) -> page.Figure:
    panels = [page.Panel(panel.title, _plot(panel, drawing)) for panel in drawing.panels]
    table = html_table(drawing.table.head, drawing.table.rows)
    names = [series for series in drawing.series if series]
    is_line = any(panel.style != "rows" for panel in drawing.panels)
    return page.Figure(
        name,
        f"Figure of the study: {drawing.title}",
        panels,
        drawing.caption,
        legend=page.legend(names, line=is_line) if names else "",
        table=table,
    )


def _plot(panel: Panel, drawing: Drawing) -> str:
    values = _range(panel, drawing)
    if panel.style == "rows":
        return _rows(panel, values)
    xs = [float(x) for line in panel.lines for x in line.points["x"] if math.isfinite(x)]
    if panel.log:
        positive = [x for x in xs if x > 0] or [1.0]
        along = Scale(min(positive) / 1.1, max(positive) * 1.1, log=True)
    else:
        along = Scale(0.0 if panel.style == "curves" else min(xs, default=0.0), max(xs, default=1.0) * 1.03)
    plot = Plot(along, values)
    plot.axes(panel.x_label + (", log scale" if panel.log else ""), panel.y_label)
    for line in panel.lines:
        shown = line.points[line.points["x"] >= along.low] if panel.log else line.points
        points = list(shown[["x", "mean"]].itertuples(index=False, name=None))
        if panel.style == "curves":
            plot.band(list(shown[["x", "low", "high"]].itertuples(index=False, name=None)), line.series)
        plot.line(points, line.series, marks=panel.style == "curves")
        if panel.style == "points":
            for point in shown.dropna(subset=["mean"]).itertuples(index=False):
                x, y = plot.at(point.x, point.mean)
                ends = plot.at_y(point.low), plot.at_y(point.high)
                plot.add(tag("line", x1=x, x2=x, y1=ends[0], y2=ends[1], class_="range"))
                _mark(plot, x, y, line.series, bool(point.reached), upwards=True)
    return plot.svg(panel.title or panel.y_label)


def _rows(panel: Panel, values: Scale) -> str:
    left = 128.0
    row = max(_ROW, 13 * len(panel.lines))
    plot = Plot(values, Scale(0, 1), height=60 + row * len(panel.rows), left=left, top=10, right=20)
    plot.axes(panel.y_label + (", log scale" if panel.log else ""), y_ticks=False)
    for number, name in enumerate(panel.rows):
        shown = name if len(name) <= 19 else f"{name[:18]}…"
        plot.text(left - 6, plot.top + row * (number + 0.5) + 4, shown, anchor="end")
    for index, line in enumerate(panel.lines):
        shift = (index - (len(panel.lines) - 1) / 2) * 11
        for point in line.points.dropna(subset=["mean"]).itertuples(index=False):
            y = plot.top + row * (point.x + 0.5) + shift
            ends = plot.at_x(point.low), plot.at_x(point.high)
            plot.add(tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_="range"))
            _mark(plot, plot.at_x(point.mean), y, line.series, bool(point.reached), upwards=False)
    return plot.svg(panel.title or panel.y_label)


def _mark(plot: Plot, x: float, y: float, series: int, reached: bool, *, upwards: bool) -> None:
    """Filled, or hollow with an arrow for a lower bound."""
    if not reached:
        path = f"M{x:.1f} {y:.1f}v-14m-3 4l3 -4l3 4" if upwards else f"M{x:.1f} {y:.1f}h14m-4 -3l4 3l-4 3"
        plot.add(tag("path", d=path, class_=f"arrow c{series % N_SERIES}"))
    plot.add(marker(x, y, series, size=4, hollow=not reached))


def _range(panel: Panel, drawing: Drawing) -> Scale:
    """One range for all panels of a quantity, so that they compare at sight."""
    lines: list[Line] = [line for p in drawing.panels if p.y_label == panel.y_label for line in p.lines]
    values = [float(v) for line in lines for key in ("low", "high") for v in line.points[key]]
    if panel.style == "rows" and panel.log:
        positive = [v for v in values if v > 0] or [1.0]
        return Scale(min(positive) / 1.1, max(positive) * 1.1, log=True)
    return Scale.over(values, zero=panel.zero)
