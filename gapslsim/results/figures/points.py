"""Measures of whole runs along an axis of the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import pandas as pd

from gapslsim.registry import component
from gapslsim.results.drawing.drawing import Curve, Drawing, Panel, Part, Row, Scale, TextTable, points_of
from gapslsim.results.measure import Measure, MeasureList, OverSeeds, measure_row, over_seeds
from gapslsim.results.study_figure import AxisNames, StudyFigure, figures, words_on_runs
from gapslsim.results.study_tables import StudyTables, is_number, place_name

__all__ = ["Points"]

_FAR_APART: Final = 12.0
"""Rows whose numbers differ by more than this factor get a logarithmic axis."""


@figures.register
@component
class Points(StudyFigure):
    """A point per combination: accuracy, or what a run takes, along an axis of numbers or in rows of names."""

    kind: Literal["points"] = "points"
    x: AxisNames
    """Axis along which points lie; where its values are no numbers, each gets a row."""
    y: MeasureList
    """What is measured; each measure gets panels of its own."""
    series: AxisNames | None = None
    """Axes whose values differ in colour and mark; those that change the framework unless given."""
    panel: AxisNames | None = None
    """Axes whose values are panels; those that are left over unless given."""
    scale: Literal["linear", "log"] = "linear"
    """Of an axis `x` of numbers. What runs take, in rows of names, is logarithmic where it is far apart."""

    @property
    def places(self) -> Mapping[str, tuple[str, ...] | None]:
        """Rows or numbers, marks, panels."""
        return {"x": self.x, "series": self.series, "panel": () if self.panel is None else self.panel}

    @property
    def spare(self) -> str:
        """Panels."""
        return "panel"

    def draw(self, study: StudyTables) -> Drawing:
        """Means over seeds; a hollow mark with an arrow is a lower bound."""
        axes = self.lay_out(study.record)
        cells = study.cells([name for names in axes.values() for name in names])
        series = list(dict.fromkeys(place_name(cell.axes, axes["series"]) for cell in cells))
        rows = list(dict.fromkeys(place_name(cell.axes, axes["x"]) for cell in cells))
        places = list(dict.fromkeys(place_name(cell.axes, axes["panel"]) for cell in cells))
        numeric = len(axes["x"]) == 1 and all(map(is_number, study.record.axes[axes["x"][0]]))
        view = self.view_of(study.record)
        panels, numbers = [], []
        told: dict[int, list[str]] = {index: [*cell.axes.values()] for index, cell in enumerate(cells)}
        for measure in self.y:
            points: dict[str, dict[str, list[dict[str, Any]]]] = {place: {} for place in places}
            for index, cell in enumerate(cells):
                over = over_seeds(measure, cell.runs, view)
                numbers.append(measure_row(cell, measure, over))
                told[index].append(over.words(measure.unit.factor))
                name = place_name(cell.axes, axes["x"])
                x = float(cell.axes[axes["x"][0]]) if numeric else float(rows.index(name))
                own = points[place_name(cell.axes, axes["panel"])]
                own.setdefault(place_name(cell.axes, axes["series"]), []).append(_point(x, over, measure))
            log = self.scale == "log" if numeric else _are_far_apart(points, measure)
            tables = {
                place: {series.index(name): pd.DataFrame(own).sort_values("x") for name, own in lines.items()}
                for place, lines in points.items()
            }
            every = [table for lines in tables.values() for table in lines.values()]
            values = Scale.over(
                (value for table in every for key in ("low", "high") for value in table[key]),
                measure.label,
                zero=measure.unit.stored != "1",
                log=log and not numeric,
                beyond=not all(table["reached"].all() for table in every),
            )
            for place, lines in tables.items():
                if numeric:
                    xs = sorted({float(x) for table in every for x in table["x"]})
                    along = replace(Scale.over(xs, axes["x"][0], log=log), at=xs)
                    panels.append(Panel(place, along, values, _joined(lines)))
                else:
                    parts = _in_rows(lines)
                    height = max(22.0, 13.0 * len(lines))
                    names = [Row(name) for name in rows]
                    panels.append(Panel(place, values, Scale(), parts, names, row_height=height))
        return Drawing(
            title=self.heading(study.record),
            question=study.record.question,
            caption=[
                f"Accuracies in the {view} view.",
                *words_on_runs(study, cells, numbers, "A hollow mark with an arrow"),
            ],
            table=TextTable(
                [*(name for names in axes.values() for name in names), *(m.label for m in self.y)],
                list(told.values()),
            ),
            numbers=pd.DataFrame(numbers),
            panels=panels,
            series=series,
            n_columns=len(places) if len(places) > 1 else 3,
        )


def _joined(lines: Mapping[int, pd.DataFrame]) -> list[Part]:
    """Lines through the points of each series."""
    curves = [Curve(series, points[["x", "mean"]], marks=False) for series, points in lines.items()]
    return [*curves, *(part for series, points in lines.items() for part in points_of(points, series))]


def _in_rows(lines: Mapping[int, pd.DataFrame]) -> list[Part]:
    """Points whose places are rows; within a row, series lie one below the other."""
    shifts = [(index - (len(lines) - 1) / 2) * 0.7 / len(lines) for index in range(len(lines))]
    return [
        part
        for shift, (series, points) in zip(shifts, lines.items(), strict=True)
        for part in points_of(points, series, in_rows=True, shift=shift)
    ]


def _are_far_apart(points: dict[str, dict[str, list[dict[str, Any]]]], measure: Measure) -> bool:
    """Whether numbers in rows need a logarithmic axis to be told apart; never for shares."""
    means = [p["mean"] for lines in points.values() for line in lines.values() for p in line if p["n"]]
    return measure.unit.stored != "1" and bool(means) and max(means) > _FAR_APART * min(means) > 0


def _point(x: float, over: OverSeeds, measure: Measure) -> dict[str, Any]:
    spread, factor = over.spread, measure.unit.factor
    return {
        "x": x,
        "mean": spread.mean * factor,
        "low": spread.low * factor,
        "high": spread.high * factor,
        "reached": over.reached,
        "n": spread.n,
    }
