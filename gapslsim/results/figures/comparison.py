"""Several runs side by side: accuracy of every view over time, above where the time went."""

from __future__ import annotations

from collections.abc import Sequence

from gapslsim.errors import ResultsError
from gapslsim.results.categories import CATEGORIES, LABELS
from gapslsim.results.compare import labels_of
from gapslsim.results.drawing.drawing import Bar, Curve, Drawing, Panel, Row, Scale
from gapslsim.results.results import Results
from gapslsim.results.summary import accuracy_curve

__all__ = ["comparison"]


def comparison(runs: Sequence[Results]) -> Drawing:
    """What `gapslsim compare --plot` draws; dry runs have the bars alone.

    Raises:
        ResultsError: if no run is given.
    """
    if not runs:
        raise ResultsError("no run to plot; give at least one run directory")
    names = labels_of([run.summary for run in runs])
    views = list(dict.fromkeys(view for run in runs for view in run.evaluations["view"].unique()))
    curves = {
        view: [
            accuracy_curve(run.evaluations, view).rename(columns={"time_s": "x", "accuracy": "mean"})
            for run in runs
        ]
        for view in views
    }
    every = [curve for own in curves.values() for curve in own if len(curve)]
    along = Scale.along((curve["x"] for curve in every), "simulated time [s]")
    high = Scale.over((100 * value for curve in every for value in curve["mean"]), "test accuracy [%]")
    panels = [
        Panel(
            view, along, high,
            [
                Curve(number, curve[["x", "mean"]] * [1, 100])
                for number, curve in enumerate(own)
            ],
        )
        for view, own in curves.items()
    ]  # fmt: skip
    return Drawing("", [*panels, _where_time_went(runs, names)], series=names, n_columns=max(1, len(views)))


def _where_time_went(runs: Sequence[Results], names: Sequence[str]) -> Panel:
    """Seconds per category, mean of clients, stacked to the simulated time; one bar per run."""
    bars = []
    for row, run in enumerate(runs):
        end_s = 0.0
        for category in CATEGORIES:
            begin_s, end_s = end_s, end_s + float(run.summary["where_time_went_s"][category])
            bars.append(Bar(row, begin_s, end_s, category, LABELS[category]))
    along = Scale("simulated time [s], mean of clients", 0.0, max(bar.end for bar in bars) * 1.03)
    return Panel("", along, Scale(), bars, [Row(name) for name in names], wide=True)
