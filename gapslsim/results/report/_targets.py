"""Time to each target accuracy; a run that did not reach one is shown as what it is: longer than it lasted."""

from __future__ import annotations

from collections.abc import Sequence

from gapslsim.results import words
from gapslsim.results.crossing import MORE_OFTEN, Crossing, at_one_evaluation, crossing
from gapslsim.results.drawing.drawing import Drawing, Mark, Panel, Part, Row, Scale, Span
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.statistics import Spread, spread
from gapslsim.results.words import percent

__all__ = ["reached", "spread_of", "target_figure"]


def reached(group: Group, target: float, view: str) -> tuple[list[Crossing], list[float]]:
    """When seeds reached the target, and how long those lasted that did not (censored) [s]."""
    times, lasted = [], []
    for run in group.runs:
        curve = run.curve(view)
        found = crossing(curve["time_s"].tolist(), curve["accuracy"].tolist(), target)
        if found is not None:
            times.append(found)
        else:
            lasted.append(float(run.summary["simulated_time_s"]))
    return times, lasted


def spread_of(times: Sequence[Crossing]) -> Spread:
    """Over seeds, with what lies between evaluations."""
    return spread([time.by for time in times], [time.after for time in times])


def target_figure(runs: RunSet) -> Drawing | None:
    """One panel per target and panel of the set: a row per series, a mark per seed."""
    if not runs.targets:
        return None
    found = {(t, g.panel, g.series): reached(g, t, runs.view) for t in runs.targets for g in runs.groups}
    ends = [[*lasted, *(end for time in times for end in time[:2])] for times, lasted in found.values()]
    every = [time_s for own in ends for time_s in own if time_s > 0] or [1.0]
    is_open = any(lasted for _, lasted in found.values())
    along = Scale.over(every, "simulated time [s]", zero=True, log=None, beyond=is_open)
    panels = []
    for target in runs.targets:
        for panel in runs.panels:
            names = [group.series for group in runs.of_panel(panel)]
            rows = (_row(n, runs.index(name), *found[target, panel, name]) for n, name in enumerate(names))
            parts = [part for row in rows for part in row]
            title = f"time to {percent(target)}{', ' if panel else ''}{panel}"
            panels.append(Panel(title, along, Scale(), parts, [Row(name) for name in names]))
    said = [_words(runs, panel, target) for panel in runs.panels for target in runs.targets]
    how = "Filled marks are seeds that reached the target: at the first evaluation at or above it. A bar goes back to "
    how += "the last evaluation below; nobody looked in between. A hollow mark with an arrow is a seed that had not "
    how += "reached it when it ended, so its time is longer."
    if n := sum(bool(at_one_evaluation(run.summary)) for run in runs.runs):
        said.append(
            f"In {n} of {len(runs.runs)} runs one evaluation was the first to see several targets. {MORE_OFTEN}"
        )
    title = f"Time to each target accuracy ({runs.view} view)"
    return Drawing(title, panels, [how, *said], name="time-to-target", series=runs.series)


def _row(row: int, series: int, times: list[Crossing], lasted: list[float]) -> list[Part]:
    parts: list[Part] = [Span((time.after, time.by), (row, row), series) for time in times]
    parts += [Mark(time.by, row, series) for time in times]
    return parts + [Mark(time_s, row, series, "right") for time_s in lasted]


def _words(runs: RunSet, panel: str, target: float) -> str:
    means: dict[str, Spread] = {}
    partly, never = [], []
    for group in runs.of_panel(panel):
        times, lasted = reached(group, target, runs.view)
        if not times:
            never.append(group.series)
        elif lasted:
            partly.append(f"{group.series} ({len(times)} of {len(times) + len(lasted)} seeds)")
        else:
            means[group.series] = spread_of(times)
    where = f" on {panel}" if panel else ""
    text = f"{percent(target)}{where}: "
    if means:
        order = sorted(means, key=lambda name: means[name].mean)
        text += f"{order[0]} first after {means[order[0]].within(words.seconds)}"
        if len(order) > 1:
            text += f", {order[-1]} last after {means[order[-1]].within(words.seconds)}"
    else:
        text += "no series reached it with every seed"
    if partly:
        text += f"; only partly reached by {words.listed(partly)}"
    if never:
        text += f"; not reached by {words.listed(never)}"
    return text + "."
