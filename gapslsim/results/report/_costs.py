"""Where the time goes, and what accuracy costs in time, energy and bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd

from gapslsim.results import words
from gapslsim.results.categories import CATEGORIES, LABELS, Category
from gapslsim.results.drawing.drawing import Bar, Curve, Drawing, Mark, Panel, Part, Row, Scale, Span
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.statistics import dominated, spread

__all__ = ["pareto_figure", "where_figure"]


def where_figure(runs: RunSet) -> Drawing:
    """Shares of the simulated time in six categories, stacked per series and device class."""
    panels = [_bars(panel, runs.of_panel(panel)) for panel in runs.panels]
    said = [_where_words(panel, runs.of_panel(panel)) for panel in runs.panels]
    how = "Each bar is the whole simulated time of one device class (mean of its clients and of the seeds); "
    how += "the number on the right is that time."
    return Drawing("Where the time goes", panels, [how, *said], name="where-time-goes")


def _shares(group: Group) -> dict[str, dict[Category, float]]:
    """Mean seconds by device and category."""
    found: dict[str, list[dict[Category, float]]] = {}
    for run in group.runs:
        for device, seconds in run.summary["where_time_went_by_device_s"].items():
            found.setdefault(device, []).append(seconds)
    return {device: _means(seconds) for device, seconds in found.items()}


def _means(seconds: Collection[Mapping[Category, float]]) -> dict[Category, float]:
    return {category: float(np.mean([each[category] for each in seconds])) for category in CATEGORIES}


def _bars(panel: str, groups: list[Group]) -> Panel:
    rows, bars = [], []
    for group in groups:
        rows.append(Row(group.series, strong=True))
        for device, seconds in _shares(group).items():
            total = sum(seconds.values())
            end = 0.0
            for category in CATEGORIES:
                begin, end = end, end + 100 * seconds[category] / (total or 1.0)
                about = f"{LABELS[category]}: {words.seconds(seconds[category])}"
                bars.append(Bar(len(rows), begin, end, category, about))
            rows.append(Row(device, words.seconds(total)))
    return Panel(panel, Scale("share of the simulated time [%]", 0, 100), Scale(), bars, rows, row_height=16)


def _where_words(panel: str, groups: list[Group]) -> str:
    said = []
    for group in groups:
        found = _shares(group)
        sums = _means(found.values())
        total = sum(sums.values())
        most = max(sums, key=sums.__getitem__)
        said.append(f"{group.series} {LABELS[most]} ({words.share(sums[most], total)})")
    where = f"On {panel}" if panel else "Overall"
    return f"{where} the largest part is: {words.listed(said)}."


_COSTS: Final[dict[str, Callable[[Group], list[float]]]] = {
    "simulated time [s]": lambda group: group.numbers("simulated_time_s"),
    "energy of all devices [J]": lambda group: group.numbers("energy_j", "total"),
    "bytes up and down [MB]": lambda group: [
        up + down for up, down in zip(group.numbers("bytes_up"), group.numbers("bytes_down"), strict=True)
    ],
}
"""What each seed took; bytes are not yet millions."""


def pareto_figure(runs: RunSet) -> Drawing | None:
    """Accuracy against time, energy and bytes, with the front of what nothing else beats."""
    if not runs.views:
        return None
    panels = []
    for panel in runs.panels:
        groups = [g for g in runs.of_panel(panel) if g.accuracies(runs.view)]
        panels += [_scatter(runs, panel, groups, label) for label in _COSTS]
    said = [_pareto_words(runs, panel) for panel in runs.panels]
    seeds = "means over seeds" if runs.n_seeds > 1 else "one seed"
    how = f"Accuracy ({runs.view} view) at the end of the run against what the whole run cost; {seeds}, "
    how += "whiskers from the lowest to the highest seed. Up and to the left is better; the dashed line joins the "
    how += "series that no other beats in that panel."
    return Drawing(
        "Accuracy against latency, energy and bytes", panels, [how, *said], name="pareto", series=runs.series
    )


def _scatter(runs: RunSet, panel: str, groups: list[Group], label: str) -> Panel:
    unit = 1e6 if label.endswith("[MB]") else 1.0
    costs = [spread([value / unit for value in _COSTS[label](g)]) for g in groups]
    gains = [spread([100 * value for value in g.accuracies(runs.view)]) for g in groups]
    along = Scale.over((v for c in costs for v in (c.low, c.high)), label, log=None)
    high = Scale.over((v for g in gains for v in (g.low, g.high)), "accuracy [%]")
    front = dominated([(cost.mean, -gain.mean) for cost, gain in zip(costs, gains, strict=True)])
    best = sorted((c.mean, g.mean) for c, g, by in zip(costs, gains, front, strict=True) if by is None)
    parts: list[Part] = [Curve(None, pd.DataFrame(best, columns=["x", "mean"]))] if len(best) > 1 else []
    places = [(along.share(c.mean), high.share(g.mean)) for c, g in zip(costs, gains, strict=True)]
    for number, (group, cost, gain) in enumerate(zip(groups, costs, gains, strict=True)):
        series = runs.index(group.series)
        parts.append(Span((cost.low, cost.high), (gain.mean, gain.mean), series))
        parts.append(Span((cost.mean, cost.mean), (gain.low, gain.high), series))
        # Where marks coincide the first is drawn larger, so that both are seen.
        n_above = sum(math.dist(places[number], later) < 0.02 for later in places[number + 1 :])
        parts.append(Mark(cost.mean, gain.mean, series, size=1.25 + 0.6 * n_above))
    title = f"{label.partition(' [')[0]}{', ' if panel else ''}{panel}"
    return Panel(title, along, high, parts)


def _pareto_words(runs: RunSet, panel: str) -> str:
    groups = [g for g in runs.of_panel(panel) if g.accuracies(runs.view)]
    if not groups:
        return ""
    points = [
        (-spread(g.accuracies(runs.view)).mean, *(spread(cost(g)).mean for cost in _COSTS.values()))
        for g in groups
    ]
    by = dominated(points)
    front = [g.series for g, other in zip(groups, by, strict=True) if other is None]
    pairs = zip(groups, by, strict=True)
    beaten = [f"{g.series} (by {groups[other].series})" for g, other in pairs if other is not None]
    where = f"On {panel}" if panel else "Of accuracy, time, energy and bytes together"
    text = f"{where}, {'of all four together, ' if panel else ''}nothing beats {words.listed(front)}"
    return f"{text}; matched or beaten in all four: {words.listed(beaten)}." if beaten else f"{text}."
