"""Measures of whole runs along an axis of the study."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final, Literal

import pandas as pd

from gapslsim.registry import component
from gapslsim.results.axis_values import AxisValues, axis_values
from gapslsim.results.drawing.drawing import Curve, Drawing, Panel, Part, Row, Scale, TextTable, points_of
from gapslsim.results.measure import MeasureList, measure_row, over_seeds
from gapslsim.results.study_figure import AxisNames, StudyFigure, figures, words_on_runs
from gapslsim.results.study_tables import StudyTables, place_name

__all__ = ["Points"]

_FAR_APART: Final = 12.0
"""Rows whose numbers differ by more than this factor get a logarithmic axis."""


@figures.register
@component
class Points(StudyFigure):
    """A point per combination: accuracy, or what a run takes, along an axis of numbers or in rows of names."""

    PLACES: ClassVar = ("x", "series", "panel")
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

    def _numbers(self, axes: Mapping[str, Sequence[str]]) -> AxisValues | None:
        """What lies along the axis, if that are numbers."""
        found = axis_values(axes[self.x[0]]) if len(self.x) == 1 else None
        return found if found is not None and found.numbers else None

    def problems(self, axes: Mapping[str, Sequence[str]], views: Collection[str]) -> dict[str, str]:
        """Besides, values that no logarithmic axis has a place for."""
        found = super().problems(axes, views)
        if self.scale == "log" and "x" not in found:
            x = self._numbers(axes)
            if x is None:
                found["scale"] = (
                    "the values along 'x' are names, which no logarithmic axis can show; leave it out."
                )
            elif min(x.numbers) <= 0:
                name = x.names[x.numbers.index(min(x.numbers))]
                found["scale"] = (
                    f"{name} of {self.x[0]!r} has no place on a logarithmic axis; write 'scale: linear'."
                )
        return found

    def draw(self, study: StudyTables) -> Drawing:
        """Means over seeds; a hollow mark with an arrow is a lower bound."""
        axes = self.lay_out(study.record)
        names = [name for own in axes.values() for name in own]
        cells = study.cells(names)
        at = pd.DataFrame([{place: place_name(c.axes, own) for place, own in axes.items()} for c in cells])
        series, rows, n_panels = list(at["series"].unique()), list(at["x"].unique()), at["panel"].nunique()
        x = self._numbers(study.record.axes)
        at["x"] = [x.number(c.axes[self.x[0]]) for c in cells] if x else at["x"].map(rows.index)
        view = self.view_of(study.record)
        panels, numbers, told = [], [], [[*cell.axes.values()] for cell in cells]
        for measure in self.y:
            overs = [over_seeds(measure, cell.runs, view) for cell in cells]
            for row, over in zip(told, overs, strict=True):
                row.append(over.words(measure.unit.factor))
            found = pd.DataFrame(
                [measure_row(c, measure, over) for c, over in zip(cells, overs, strict=True)]
            )
            numbers.append(found)
            shown = found[["mean", "low", "high"]] * measure.unit.factor
            points = at.join(shown).assign(reached=found["n_reached"] == found["n_seeds"])
            is_share = measure.unit.stored == "1"
            # Never for shares; the least mean may be 0, which no logarithmic axis shows.
            far_apart = not is_share and points["mean"].max() > _FAR_APART * points["mean"].min() > 0
            values = Scale.over(
                shown[["low", "high"]].to_numpy().ravel(), measure.label, zero=not is_share,
                log=far_apart and x is None, beyond=not points["reached"].all(),
            )  # fmt: skip
            for place, own in points.groupby("panel", sort=False):
                lines = {
                    series.index(name): line.sort_values("x")
                    for name, line in own.groupby("series", sort=False)
                }
                if x:
                    xs = sorted(x.numbers)
                    along = replace(Scale.over(xs, x.label(self.x[0]), log=self.scale == "log"), at=xs)
                    panels.append(Panel(str(place), along, values, _joined(lines)))
                else:
                    height = max(22.0, 13.0 * len(lines))
                    panel_rows = [Row(name) for name in rows]
                    panels.append(
                        Panel(str(place), values, Scale(), _in_rows(lines), panel_rows, row_height=height)
                    )
        every = study.typed(pd.concat(numbers, ignore_index=True))
        return Drawing(
            title=self.heading(study.record),
            question=study.record.question,
            caption=[
                f"Accuracies in the {view} view.",
                *words_on_runs(study, cells, every, "A hollow mark with an arrow"),
            ],
            table=TextTable([*names, *(m.label for m in self.y)], told),
            numbers=every,
            panels=panels,
            series=series,
            n_columns=n_panels if n_panels > 1 else 3,
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
