"""Accuracy or loss along what a run spends."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import pandas as pd
from pydantic import AfterValidator

from gapslsim.errors import ResultsError, unknown
from gapslsim.learning.metric import metrics
from gapslsim.registry import component
from gapslsim.results._spent import SPENT, Spent, spent_by
from gapslsim.results.drawing.drawing import Curve, Drawing, Panel, Scale, TextTable
from gapslsim.results.statistics import mean_curve
from gapslsim.results.study_figure import AxisNames, StudyFigure, figures, words_on_runs
from gapslsim.results.study_tables import Cell, StudyTables, place_name

__all__ = ["Curves"]

_Y: Final = {"accuracy": ("accuracy [%]", 100.0), "loss": ("test loss", 1.0)}


def _known(name: str) -> str:
    if name not in _Y and name not in metrics:
        raise ValueError(unknown("y", name, [*_Y, *metrics]))
    return name


@figures.register
@component
class Curves(StudyFigure):
    """Test accuracy or loss along epochs, rounds, simulated time, bytes or energy; a line per series."""

    PLACES: ClassVar = ("series", "panel")
    kind: Literal["curves"] = "curves"
    x: Spent = "time"
    """Along what: epochs, rounds, time, bytes or energy."""
    y: Annotated[str, AfterValidator(_known)] = "accuracy"
    """What the lines show, on the test set: `accuracy`, `loss`, or one of the scenario's `evaluation.metrics`."""
    series: AxisNames | None = None
    """Axes whose values are lines; those that change the framework unless given."""
    panel: AxisNames | None = None
    """Axes whose values are panels; those that are left over unless given."""

    def draw(self, study: StudyTables) -> Drawing:
        """Means over seeds where all seeds have values; between two evaluations the line is straight."""
        axes = self.lay_out(study.record)
        (label, factor), along_unit = _Y.get(self.y, (self.y.replace("_", " "), 1.0)), SPENT[self.x].unit
        numbers, rows = [], []
        cells = study.cells((*axes["panel"], *axes["series"]))
        series = list(dict.fromkeys(place_name(cell.axes, axes["series"]) for cell in cells))
        found: dict[str, list[Curve]] = {}
        for cell in cells:
            curve = self._curve(cell, study)
            numbers.append(cell.keyed(curve.rename(columns={"x": self.x, "mean": self.y})))
            shown = curve[["x", "mean", "low", "high"]] * [along_unit.factor, factor, factor, factor]
            ends = (
                [f"{shown['x'].iloc[-1]:.4g}", f"{shown['mean'].iloc[-1]:.1f}"] if len(shown) else ["-", "-"]
            )
            rows.append([*cell.axes.values(), *ends])
            lines = found.setdefault(place_name(cell.axes, axes["panel"]), [])
            lines.append(Curve(series.index(place_name(cell.axes, axes["series"])), shown))
        curves = [line.points for lines in found.values() for line in lines]
        along = Scale.along((points["x"] for points in curves), SPENT[self.x].label)
        high = Scale.over((y for points in curves for y in points[["low", "high"]].to_numpy().ravel()), label)
        panels = [Panel(title, along, high, lines) for title, lines in found.items()]
        view = self.view_of(study.record)
        return Drawing(
            title=self.heading(study.record),
            question=study.record.question,
            caption=[f"Test {self.y.replace('_', ' ')} in the {view} view.", *words_on_runs(study, cells)],
            table=TextTable([*axes["panel"], *axes["series"], f"ends at {SPENT[self.x].label}", label], rows),
            numbers=study.typed(pd.concat(numbers, ignore_index=True)),
            panels=panels,
            series=series,
        )

    def _curve(self, cell: Cell, study: StudyTables) -> pd.DataFrame:
        curves = []
        for run in cell.runs:
            curve = run.curve(self.view_of(study.record))
            if self.y not in curve:
                raise ResultsError(
                    f"{run.record.label} has no column {self.y!r}; add it to evaluation.metrics of the scenario and "
                    "sweep again, or change 'y' of the figure"
                )
            curves.append(curve.assign(x=spent_by(curve, run.rounds, self.x)))
        return mean_curve(curves, "x", self.y)
