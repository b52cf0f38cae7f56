"""Time to each target accuracy; a run that did not reach one is shown as what it is: longer than it lasted."""

from __future__ import annotations

from gapslsim.results import words
from gapslsim.results.drawing.drawing import Drawing, Mark, Panel, Part, Row, Scale, Span
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.statistics import spread
from gapslsim.results.words import percent

__all__ = ["reached", "target_figure"]


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


def target_figure(runs: RunSet) -> Drawing | None:
    """One panel per target and panel of the set: a row per series, a mark per seed."""
    if not runs.targets:
        return None
    found = {(t, g.panel, g.series): reached(g, t) for t in runs.targets for g in runs.groups}
    every = [time_s for both in found.values() for part in both for time_s in part if time_s > 0] or [1.0]
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
    how = "Filled marks are seeds that reached the target (simulated time of the first evaluation at or above it); "
    how += (
        "a hollow mark with an arrow is a seed that had not reached it when it ended, so its time is longer."
    )
    title = f"Time to each target accuracy ({runs.view} view)"
    return Drawing(title, panels, [how, *said], name="time-to-target", series=runs.series)


def _row(row: int, series: int, times: list[float], lasted: list[float]) -> list[Part]:
    parts: list[Part] = [Mark(time_s, row, series) for time_s in times]
    parts += [Mark(time_s, row, series, "right") for time_s in lasted]
    return [Span((min(times), max(times)), (row, row), series), *parts] if len(times) > 1 else parts


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
        order = sorted(means, key=means.__getitem__)
        text += f"{order[0]} first after {words.seconds(means[order[0]])}"
        if len(order) > 1:
            text += f", {order[-1]} last after {words.seconds(means[order[-1]])}"
    else:
        text += "no series reached it with every seed"
    if partly:
        text += f"; only partly reached by {words.listed(partly)}"
    if never:
        text += f"; not reached by {words.listed(never)}"
    return text + "."
