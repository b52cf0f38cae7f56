"""Test accuracy against simulated time and against rounds, and the spread over clients."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from gapslsim.results import words
from gapslsim.results.far_apart import are_far_apart
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.report.figure import Figure, Panel, legend, seeds_words
from gapslsim.results.report.statistics import ends_highest, mean_curve, spread
from gapslsim.results.report.svg import WIDTH, Plot, Scale, marker, tag

__all__ = ["accuracy_figure", "client_figure"]

_MOST_MARKS: Final = 120
"""Clients drawn per row; of more, as many are drawn evenly by rank."""
_LABELS: Final = {"time_s": "simulated time [s]", "round": "round"}


def accuracy_figure(runs: RunSet, x: str) -> Figure | None:
    """Accuracy along `time_s` or `round`, one panel per panel of the set; other views are folded."""
    if not runs.views:
        return None
    along = "simulated time" if x == "time_s" else "rounds"
    more = []
    for view in runs.views[1:]:
        panels = _panels(runs, view, x)
        more.append((f"{view} view against {along}", panels, _caption(runs, view, x)))
    return Figure(
        id=f"accuracy-{'time' if x == 'time_s' else 'rounds'}",
        title=f"Test accuracy against {along} ({runs.view} view)",
        panels=_panels(runs, runs.view, x),
        caption=_caption(runs, runs.view, x),
        legend=legend(runs.series),
        more=more,
    )


def _curves(group: Group, view: str, x: str) -> pd.DataFrame:
    return mean_curve([run.curve(view) for run in group.runs], x)


def _panels(runs: RunSet, view: str, x: str) -> list[Panel]:
    curves = {(g.panel, g.series): _curves(g, view, x) for g in runs.groups}
    ends = [float(curve["x"].iloc[-1]) for curve in curves.values() if len(curve)]
    firsts = [
        float(found[0])
        for curve in curves.values()
        if len(found := curve.loc[curve["x"] > 0, "x"].to_numpy())
    ]
    if not ends or not firsts:
        return []
    log = are_far_apart(ends)
    scale = Scale(min(firsts) / 1.1, max(ends) * 1.1, log=True) if log else Scale(0.0, max(ends) * 1.03)
    top = max(float(curve["high"].max()) for curve in curves.values() if len(curve))
    panels = []
    for panel in runs.panels:
        plot = Plot(scale, Scale(0.0, min(1.0, top * 1.08) * 100))
        plot.axes(_LABELS[x] + (", log scale" if log else ""), "accuracy [%]")
        for group in runs.of_panel(panel):
            curve = curves[panel, group.series]
            curve = curve[curve["x"] >= scale.low] if log else curve
            rows = curve.assign(mean=curve["mean"] * 100, low=curve["low"] * 100, high=curve["high"] * 100)
            if len(group.runs) > 1:
                plot.band(
                    list(rows[["x", "low", "high"]].itertuples(index=False, name=None)),
                    runs.index(group.series),
                )
        for group in runs.of_panel(panel):
            curve = curves[panel, group.series]
            curve = curve[curve["x"] >= scale.low] if log else curve
            points = list(zip(curve["x"], curve["mean"] * 100, strict=True))
            plot.line(points, runs.index(group.series))
        panels.append(Panel(panel, plot.svg(f"{view} accuracy, {panel or runs.title}")))
    return panels


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
        if x == "time_s":
            end = spread([s for g in groups if g.series == best for s in g.numbers("simulated_time_s")])
            text += f" after {words.seconds(end.mean)}"
        else:
            n = spread([s for g in groups if g.series == best for s in g.numbers("rounds")])
            text += f" after {n.mean:.0f} rounds"
        if len(order) > 1:
            text += f", {worst} lowest with {words.accuracy(found[worst].mean)}"
        said.append(text + ".")
    return said


def client_figure(runs: RunSet) -> Figure | None:
    """Accuracy of each client at the last evaluation, for views with one model per client."""
    views = [v for v in ("clients", "local") if v in runs.views]
    if not views:
        return None
    panels = []
    said = []
    for view in views:
        last = {(g.panel, g.series): _last_of_clients(g, view) for g in runs.groups}
        values = [100 * v for found in last.values() for v in found]
        if not values:
            continue
        scale = Scale.over([*values, max(0.0, min(values) - 2)])
        for panel in runs.panels:
            groups = runs.of_panel(panel)
            panels.append(
                Panel(f"{view} view{', ' if panel else ''}{panel}", _strips(runs, groups, last, scale))
            )
            said.append(_spread_words(view, panel, groups, last))
    if not panels:
        return None
    meaning = "Each mark is one client at the last evaluation (mean over seeds); the bar reaches from the weakest to "
    meaning += "the strongest, the tick is the median."
    if max(run.summary["n_clients"] for run in runs.runs) > _MOST_MARKS:
        meaning += f" Of more than {_MOST_MARKS} clients as many are drawn, evenly by rank."
    return Figure(
        "client-spread", "Spread over clients", panels, [meaning, *said],
        legend=legend(runs.series, line=False),
    )  # fmt: skip


def _last_of_clients(group: Group, view: str) -> np.ndarray:
    rows = []
    for run in group.runs:
        table = run.table("evaluations")
        own = table[(table["view"] == view) & (table["client"] >= 0)]
        if len(own):
            rows.append(own[own["round"] == own["round"].max()].set_index("client")["accuracy"])
    return pd.concat(rows, axis=1).mean(axis=1).sort_index().to_numpy() if rows else np.array([])


def _strips(runs: RunSet, groups: list[Group], last: dict[tuple[str, str], np.ndarray], scale: Scale) -> str:
    row, left = 24.0, 104.0
    plot = Plot(scale, Scale(0, 1), height=70 + row * len(groups), left=left, top=12)
    plot.axes("accuracy [%]", y_ticks=False)
    for number, group in enumerate(groups):
        found = last[group.panel, group.series] * 100
        y = plot.top + row * (number + 0.5) + 4
        plot.text(left - 6, y + 4, _short(group.series), anchor="end")
        if not len(found):
            continue
        series = runs.index(group.series)
        ends = plot.at_x(float(found.min())), plot.at_x(float(found.max()))
        plot.add(tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_="range"))
        for index, value in enumerate(_few(found)):
            plot.add(marker(plot.at_x(float(value)), y + (index % 3 - 1) * 4, series, size=3))
        middle = plot.at_x(float(np.median(found)))
        plot.add(tag("line", x1=middle, x2=middle, y1=y - 9, y2=y + 9, class_="tick"))
    return plot.svg("accuracy of each client")


def _few(values: np.ndarray) -> np.ndarray:
    """The values, or of very many a sample that is even in rank and keeps both ends."""
    if len(values) <= _MOST_MARKS:
        return values
    ranks = np.linspace(0, len(values) - 1, _MOST_MARKS).round().astype(int)
    return np.asarray(np.sort(values)[ranks])


def _spread_words(view: str, panel: str, groups: list[Group], last: dict[tuple[str, str], np.ndarray]) -> str:
    gaps = {g.series: float(np.ptp(found)) for g in groups if len(found := last[g.panel, g.series])}
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


def _short(name: str) -> str:
    n = int((104 - 8) / (WIDTH / 62))
    return name if len(name) <= n else f"{name[: n - 1]}…"
