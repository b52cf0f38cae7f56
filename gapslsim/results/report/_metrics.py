"""Metrics of the scenario, and the test loss beside them, against simulated time in every view."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from gapslsim.records import EvaluationRow
from gapslsim.results.drawing.drawing import Curve, Drawing, Panel, Scale
from gapslsim.results.report.data import Run, RunSet
from gapslsim.results.statistics import mean_curve, seeds_words

__all__ = ["metric_figure"]


def metric_figure(runs: RunSet) -> Drawing | None:
    """A panel for each metric and panel of the set; other views than the one that is judged are folded.

    None where no run has metrics of its own, and all have an accuracy.
    """
    tables = [run.table("evaluations") for run in runs.runs]
    names = list(
        dict.fromkeys(n for table in tables for n in table.columns if n not in EvaluationRow._fields)
    )
    if not names and (runs.views or not runs.has_evaluations):
        return None
    views = list(dict.fromkeys(view for table in tables for view in table["view"]))
    views.sort(key=lambda view: view != runs.view)
    made = [
        Drawing(f"{view} view", panels, [seeds_words(runs.n_seeds), _MEANS], series=runs.series)
        for view in views
        if (panels := [p for name in ["loss", *names] for p in _panels(runs, view, name)])
    ]
    if not made:
        return None
    first, *more = made
    title = f"Metrics against simulated time ({first.title})"
    return replace(first, name="metrics", title=title, more=more)


_MEANS = "Where a view has one model per client, lines are means over the clients."


def _panels(runs: RunSet, view: str, name: str) -> list[Panel]:
    """One for each panel of the set in which a run has the metric."""
    made = []
    for panel in runs.panels:
        curves = {
            group.series: mean_curve([_curve(run, view, name) for run in group.runs], "time_s", name)
            for group in runs.of_panel(panel)
        }
        shown = {series: curve for series, curve in curves.items() if len(curve)}
        if not shown:
            continue
        along = Scale.along((curve["x"] for curve in shown.values()), "simulated time [s]")
        values = (value for curve in shown.values() for side in ("low", "high") for value in curve[side])
        lines = [Curve(runs.index(s), curve[curve["x"] >= along.low]) for s, curve in shown.items()]
        title = f"{name.replace('_', ' ')}{', ' if panel else ''}{panel}"
        made.append(Panel(title, along, Scale.over(values, name.replace("_", " ")), lines))
    return made


def _curve(run: Run, view: str, name: str) -> pd.DataFrame:
    """Columns time_s and the metric, a row per evaluation that has a number."""
    table = run.table("evaluations")
    if name not in table:
        return pd.DataFrame({"time_s": [], name: []})
    own = table[table["view"] == view]
    return own.groupby(["round", "time_s"], as_index=False)[name].mean().dropna(subset=[name])
