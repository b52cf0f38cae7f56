"""Time to each target accuracy; a run that did not reach one is shown as what it is: longer than it lasted."""

from __future__ import annotations

import math

from gapslsim.results import words
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.report.figure import Figure, Panel, and_list, legend
from gapslsim.results.report.statistics import spread
from gapslsim.results.report.svg import Plot, Scale, marker, tag

__all__ = ["percent", "reached", "target_figure"]


def reached(group: Group, target: float) -> tuple[list[float], list[float]]:
    """Times of the seeds that reached the target, and how long those lasted that did not (censored) [s]."""
    times, lasted = [], []
    for run in group.runs:
        time_s = run.summary["time_to_accuracy_s"].get(f"{target:g}")
        if time_s is not None:
            times.append(float(time_s))
        else:
            lasted.append(float(run.summary["simulated_time_s"]))
    return times, lasted


def percent(target: float) -> str:
    """A target as it was written: `80 %`."""
    return f"{100 * target:.4g} %"


def target_figure(runs: RunSet) -> Figure | None:
    """One panel per target and panel of the set: a row per series, a mark per seed."""
    if not runs.targets:
        return None
    every = [t for g in runs.groups for target in runs.targets for part in reached(g, target) for t in part]
    scale = Scale.over([t for t in every if t > 0] or [1.0], zero=True, may_log=True)
    panels = [
        Panel(
            f"time to {percent(target)}{', ' if panel else ''}{panel}",
            _rows(runs, runs.of_panel(panel), target, scale),
        )
        for target in runs.targets
        for panel in runs.panels
    ]
    said = [_words(runs, panel, target) for panel in runs.panels for target in runs.targets]
    how = "Filled marks are seeds that reached the target (simulated time of the first evaluation at or above it); "
    how += (
        "a hollow mark with an arrow is a seed that had not reached it when it ended, so its time is longer."
    )
    return Figure(
        "time-to-target",
        f"Time to each target accuracy ({runs.view} view)",
        panels,
        [how, *said],
        legend=legend(runs.series, line=False),
    )


def _rows(runs: RunSet, groups: list[Group], target: float, scale: Scale) -> str:
    row, left = 22.0, 104.0
    plot = Plot(scale, Scale(0, 1), height=66 + row * len(groups), left=left, top=10, right=18)
    plot.axes("simulated time [s]" + (", log scale" if scale.log else ""), y_ticks=False)
    for number, group in enumerate(groups):
        y = plot.top + row * (number + 0.5) + 2
        series = runs.index(group.series)
        times, lasted = reached(group, target)
        name = group.series if len(group.series) <= 15 else f"{group.series[:14]}…"
        plot.text(left - 6, y + 4, name, anchor="end")
        if len(times) > 1:
            ends = plot.at_x(min(times)), plot.at_x(max(times))
            plot.add(tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_="range"))
        for time_s in times:
            plot.add(marker(plot.at_x(time_s), y, series, size=4))
        for time_s in lasted:
            x = plot.at_x(time_s)
            plot.add(tag("path", d=f"M{x:.1f} {y:.1f}h14m-4 -3l4 3l-4 3", class_=f"arrow c{series % 8}"))
            plot.add(marker(x, y, series, size=4, hollow=True))
    return plot.svg(f"time to {percent(target)}")


def _words(runs: RunSet, panel: str, target: float) -> str:
    means: dict[str, float] = {}
    partly, never = [], []
    for group in runs.of_panel(panel):
        times, lasted = reached(group, target)
        if not times:
            never.append(group.series)
        elif lasted:
            partly.append(f"{group.series} ({len(times)} of {len(times) + len(lasted)} seeds)")
        else:
            means[group.series] = spread(times).mean
    where = f" on {panel}" if panel else ""
    text = f"{percent(target)}{where}: "
    if means:
        order = sorted(means, key=lambda name: means[name] if math.isfinite(means[name]) else math.inf)
        text += f"{order[0]} first after {words.seconds(means[order[0]])}"
        if len(order) > 1:
            text += f", {order[-1]} last after {words.seconds(means[order[-1]])}"
    else:
        text += "no series reached it with every seed"
    if partly:
        text += f"; only partly reached by {and_list(partly)}"
    if never:
        text += f"; not reached by {and_list(never)}"
    return text + "."
