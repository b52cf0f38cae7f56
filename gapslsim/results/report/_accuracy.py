"""Test accuracy against simulated time and against rounds, and the spread over clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from gapslsim.results import words
from gapslsim.results.drawing.drawing import Curve, Drawing, Mark, Panel, Part, Row, Scale, Span
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.statistics import ends_highest, mean_curve, seeds_words, spread

__all__ = ["accuracy_figure", "client_figure"]

_MOST_MARKS: Final = 120
"""Clients drawn per row; of more, as many are drawn evenly by rank."""
_LABELS: Final = {"time_s": "simulated time [s]", "round": "round"}


def accuracy_figure(runs: RunSet, x: str) -> Drawing | None:
    """Accuracy along `time_s` or `round`, one panel per panel of the set; other views are folded."""
    if not runs.views:
        return None
    along = "simulated time" if x == "time_s" else "rounds"
    title = f"view against {along}"
    first, *more = (
        Drawing(f"{view} {title}", _panels(runs, view, x), _caption(runs, view, x), series=runs.series)
        for view in runs.views
    )
    return replace(
        first,
        name=f"accuracy-{'time' if x == 'time_s' else 'rounds'}",
        title=f"Test accuracy against {along} ({runs.view} view)",
        more=more,
    )


def _panels(runs: RunSet, view: str, x: str) -> list[Panel]:
    curves = {(g.panel, g.series): mean_curve([run.curve(view) for run in g.runs], x) for g in runs.groups}
    shown = [curve for curve in curves.values() if len(curve)]
    if not any((curve["x"] > 0).any() for curve in shown):
        return []
    along = Scale.along((curve["x"] for curve in shown), _LABELS[x])
    high = Scale.over(
        (100 * end for curve in shown for end in curve[["low", "high"]].to_numpy().ravel()), "accuracy [%]"
    )
    return [
        Panel(
            panel, along, high,
            [
                Curve(runs.index(group.series), curve[curve["x"] >= along.low] * [1, 100, 100, 100])
                for group in runs.of_panel(panel)
                for curve in [curves[panel, group.series]]
            ],
        )
        for panel in runs.panels
    ]  # fmt: skip


def _caption(runs: RunSet, view: str, x: str) -> list[str]:
    said = [seeds_words(runs.n_seeds)]
    for panel in runs.panels:
        groups = [g for g in runs.of_panel(panel) if g.accuracies(view)]
        if not groups:
            continue
        found = {g.series: spread(g.accuracies(view)) for g in groups}
        order = sorted(found, key=lambda name: -found[name].mean)
        where = f"On {panel}" if panel else "At the end"
        best, worst = order[0], order[-1]
        highest = ends_highest({name: each.mean for name, each in found.items()})
        text = f"{where}: {highest} with {words.accuracy(found[best].mean)}"
        if len(order) > 1 and found[best].mean == found[worst].mean:  # They may have taken unlike times.
            said.append(text + ".")
            continue
        entry = "simulated_time_s" if x == "time_s" else "rounds"
        end = spread([n for g in groups if g.series == best for n in g.numbers(entry)]).mean
        text += f" after {words.seconds(end) if x == 'time_s' else f'{end:.0f} rounds'}"
        if len(order) > 1:
            text += f", {worst} lowest with {words.accuracy(found[worst].mean)}"
        said.append(text + ".")
    return said


def client_figure(runs: RunSet) -> Drawing | None:
    """Accuracy of each client at the last evaluation, for views with one model per client."""
    panels: list[Panel] = []
    said = []
    for view in (v for v in ("clients", "local") if v in runs.views):
        last = {(g.panel, g.series): _last_of_clients(g, view) for g in runs.groups}
        values = [100 * v for found in last.values() for v in found]
        if not values:
            continue
        along = Scale.over([*values, max(0.0, min(values) - 2)], "accuracy [%]")
        for panel in runs.panels:
            own = {g.series: found for g in runs.of_panel(panel) if len(found := last[panel, g.series])}
            strips = (_strip(row, runs.index(name), 100 * own[name]) for row, name in enumerate(own))
            parts = [part for strip in strips for part in strip]
            title = f"{view} view{', ' if panel else ''}{panel}"
            panels.append(Panel(title, along, Scale(), parts, [Row(name) for name in own], row_height=24))
            said.append(_spread_words(view, panel, own))
    if not panels:
        return None
    meaning = "Each mark is one client at the last evaluation (mean over seeds); the bar reaches from the weakest to "
    meaning += "the strongest, the tick is the median."
    if max(run.summary["n_clients"] for run in runs.runs) > _MOST_MARKS:
        meaning += f" Of more than {_MOST_MARKS} clients as many are drawn, evenly by rank."
    return Drawing("Spread over clients", panels, [meaning, *said], name="client-spread", series=runs.series)


def _last_of_clients(group: Group, view: str) -> np.ndarray:
    rows = []
    for run in group.runs:
        table = run.table("evaluations")
        own = table[(table["view"] == view) & (table["client"] >= 0) & table["accuracy"].notna()]
        if len(own):
            rows.append(own[own["round"] == own["round"].max()].set_index("client")["accuracy"])
    return pd.concat(rows, axis=1).mean(axis=1).sort_index().to_numpy() if rows else np.array([])


def _strip(row: int, series: int, found: np.ndarray) -> list[Part]:
    """One series: its clients, beside one another where they would lie upon one another."""
    middle = float(np.median(found))
    marks = [
        Mark(float(value), row + (index % 3 - 1) / 6, series, size=0.75)
        for index, value in enumerate(_few(found))
    ]
    return [
        Span((float(found.min()), float(found.max())), (row, row)),
        *marks,
        Span((middle, middle), (row - 0.38, row + 0.38), strong=True),
    ]


def _few(values: np.ndarray) -> np.ndarray:
    """The values, or of very many a sample that is even in rank and keeps both ends."""
    if len(values) <= _MOST_MARKS:
        return values
    ranks = np.linspace(0, len(values) - 1, _MOST_MARKS).round().astype(int)
    return np.asarray(np.sort(values)[ranks])


def _spread_words(view: str, panel: str, last: Mapping[str, np.ndarray]) -> str:
    gaps = {name: float(np.ptp(found)) for name, found in last.items()}
    if not gaps:
        return ""
    least, most = min(gaps, key=gaps.__getitem__), max(gaps, key=gaps.__getitem__)
    where = f", {panel}" if panel else ""
    if least == most:
        return f"{view} view{where}: {100 * gaps[least]:.1f} points lie between the clients of {least}."
    return (
        f"{view} view{where}: the clients lie closest together under {least} ({100 * gaps[least]:.1f} points) and "
        f"furthest apart under {most} ({100 * gaps[most]:.1f} points)."
    )
