"""Where the time goes, and what accuracy costs in time, energy and bytes."""

from __future__ import annotations

from typing import Final

import numpy as np

from gapslsim.results import words
from gapslsim.results.categories import CATEGORIES, LABELS, Category
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.report.figure import Figure, Panel, and_list, legend
from gapslsim.results.report.statistics import dominated, spread
from gapslsim.results.report.svg import Plot, Scale, marker, tag

__all__ = ["category_legend", "pareto_figure", "patterns", "where_figure"]


def patterns() -> str:
    """Hatches that tell categories apart without colour; one SVG for the whole page."""
    drawn: dict[Category, str] = {
        "client_compute": "",
        "uplink": "M0 6L6 0",
        "server_queue": "M3 0V6",
        "server_compute": "M0 3H6",
        "downlink": "M0 0L6 6",
        "waiting": "M3 3h.1",
    }
    made = ""
    for name, path in drawn.items():
        hatch = tag("path", d=path, class_="hatch") if path else ""
        back = tag("rect", width=6, height=6, class_=f"k-{name}")
        made += tag("pattern", back + hatch, id=f"p-{name}", width=6, height=6, patternUnits="userSpaceOnUse")
    return tag("svg", tag("defs", made), width=0, height=0, aria_hidden="true", class_="defs")


def category_legend() -> str:
    """Names of categories beside their fills."""
    items = []
    for name in CATEGORIES:
        box = tag("rect", x=1, y=1, width=28, height=12, fill=f"url(#p-{name})", class_="bar")
        items.append(
            tag(
                "li", tag("svg", box, viewBox="0 0 30 14", class_="swatch", aria_hidden="true") + LABELS[name]
            )
        )
    return tag("ul", "".join(items), class_="legend")


def where_figure(runs: RunSet) -> Figure:
    """Shares of the simulated time in six categories, stacked per series and device class."""
    panels = [Panel(panel, _bars(runs.of_panel(panel), panel)) for panel in runs.panels]
    said = [_where_words(panel, runs.of_panel(panel)) for panel in runs.panels]
    how = "Each bar is the whole simulated time of one device class (mean of its clients and of the seeds); "
    how += "the number on the right is that time."
    return Figure("where-time-goes", "Where the time goes", panels, [how, *said], category_legend())


def _shares(group: Group) -> dict[str, dict[str, float]]:
    """Mean seconds by device and category."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in group.runs:
        for device, seconds in run.summary["where_time_went_by_device_s"].items():
            for category in CATEGORIES:
                found.setdefault(device, {}).setdefault(category, []).append(float(seconds[category]))
    return {device: {c: float(np.mean(v)) for c, v in seconds.items()} for device, seconds in found.items()}


def _bars(groups: list[Group], panel: str) -> str:
    row, head, left = 15.0, 17.0, 108.0
    shares = [_shares(group) for group in groups]
    n_rows = sum(len(found) for found in shares)
    height = 56 + n_rows * row + len(groups) * head
    plot = Plot(Scale(0, 100), Scale(0, 1), height=height, left=left, top=4, right=66)
    plot.axes("share of the simulated time [%]", y_ticks=False)
    y = plot.top + 2
    for group, found in zip(groups, shares, strict=True):
        plot.text(2, y + 12, group.series, cls="strong")
        y += head
        for device, seconds in found.items():
            total = sum(seconds.values()) or 1.0
            name = device if len(device) <= 16 else f"{device[:15]}…"
            plot.text(left - 5, y + 10, name, anchor="end")
            begin = 0.0
            for category in CATEGORIES:
                share = 100 * seconds[category] / total
                if share > 0:
                    x = plot.at_x(begin)
                    plot.add(
                        tag(
                            "rect", tag("title", f"{LABELS[category]}: {words.seconds(seconds[category])}"),
                            x=x, y=y, width=max(0.0, plot.at_x(begin + share) - x), height=row - 3,
                            fill=f"url(#p-{category})", class_="bar",
                        )
                    )  # fmt: skip
                begin += share
            plot.text(
                plot.width - plot.right + 5,
                y + 10,
                words.seconds(total),
            )
            y += row
    return plot.svg(f"where the time goes {panel}")


def _where_words(panel: str, groups: list[Group]) -> str:
    said = []
    for group in groups:
        found = _shares(group)
        sums = {c: float(np.mean([seconds[c] for seconds in found.values()])) for c in CATEGORIES}
        total = sum(sums.values())
        most = max(sums, key=sums.__getitem__)
        said.append(f"{group.series} {LABELS[most]} ({words.share(sums[most], total)})")
    where = f"On {panel}" if panel else "Overall"
    return f"{where} the largest part is: {and_list(said)}."


_COSTS: Final = (
    ("simulated time [s]", ("simulated_time_s",), words.seconds),
    ("energy of all devices [J]", ("energy_j", "total"), words.energy),
    ("bytes up and down [MB]", (), words.size),
)


def _cost(group: Group, path: tuple[str, ...]) -> list[float]:
    if path:
        return group.numbers(*path)
    both = zip(group.numbers("bytes_up"), group.numbers("bytes_down"), strict=True)
    return [up + down for up, down in both]


def pareto_figure(runs: RunSet) -> Figure | None:
    """Accuracy against time, energy and bytes, with the front of what nothing else beats."""
    if not runs.views:
        return None
    panels = []
    for panel in runs.panels:
        groups = [g for g in runs.of_panel(panel) if g.accuracies(runs.view)]
        for label, path, _ in _COSTS:
            title = f"{label.partition(' [')[0]}{', ' if panel else ''}{panel}"
            panels.append(Panel(title, _scatter(runs, groups, label, path)))
    said = [_pareto_words(runs, panel) for panel in runs.panels]
    how = f"Accuracy ({runs.view} view) at the end of the run against what the whole run cost; means over seeds, "
    how += "whiskers from the lowest to the highest seed. Up and to the left is better; the dashed line joins the "
    how += "series that no other beats in that panel."
    return Figure(
        "pareto", "Accuracy against latency, energy and bytes", panels, [how, *said],
        legend=legend(runs.series, line=False),
    )  # fmt: skip


def _scatter(runs: RunSet, groups: list[Group], label: str, path: tuple[str, ...]) -> str:
    unit = 1e6 if label.endswith("[MB]") else 1.0
    costs = [spread([value / unit for value in _cost(g, path)]) for g in groups]
    gains = [spread([100 * value for value in g.accuracies(runs.view)]) for g in groups]
    x = Scale.over([v for c in costs for v in (c.low, c.high)], may_log=True)
    plot = Plot(x, Scale.over([v for g in gains for v in (g.low, g.high)]), height=220)
    plot.axes(label + (", log scale" if x.log else ""), "accuracy [%]")
    front = dominated([(cost.mean, -gain.mean) for cost, gain in zip(costs, gains, strict=True)])
    best = sorted((c.mean, g.mean) for c, g, by in zip(costs, gains, front, strict=True) if by is None)
    places = [plot.at(*point) for point in best]
    if len(places) > 1:
        plot.add(tag("path", d="M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places), class_="front"))
    places_of = [plot.at(cost.mean, gain.mean) for cost, gain in zip(costs, gains, strict=True)]
    for number, (group, cost, gain) in enumerate(zip(groups, costs, gains, strict=True)):
        a, b = places_of[number]
        plot.add(tag("line", x1=plot.at_x(cost.low), x2=plot.at_x(cost.high), y1=b, y2=b, class_="range"))
        plot.add(tag("line", x1=a, x2=a, y1=plot.at_y(gain.low), y2=plot.at_y(gain.high), class_="range"))
        # Where marks coincide the first is drawn larger, so that both are seen.
        later = places_of[number + 1 :]
        n_above = sum(abs(a - other[0]) < 5 and abs(b - other[1]) < 5 for other in later)
        plot.add(marker(a, b, runs.index(group.series), size=5.0 + 2.5 * n_above))
    return plot.svg(f"accuracy against {label}")


def _pareto_words(runs: RunSet, panel: str) -> str:
    groups = [g for g in runs.of_panel(panel) if g.accuracies(runs.view)]
    if not groups:
        return ""
    points = [
        (-spread(g.accuracies(runs.view)).mean, *(spread(_cost(g, path)).mean for _, path, _ in _COSTS))
        for g in groups
    ]
    by = dominated(points)
    front = [g.series for g, other in zip(groups, by, strict=True) if other is None]
    beaten = [
        f"{g.series} (by {groups[other].series})"
        for g, other in zip(groups, by, strict=True)
        if other is not None
    ]
    where = f"On {panel}" if panel else "Of accuracy, time, energy and bytes together"
    text = f"{where}, {'of all four together, ' if panel else ''}nothing beats {and_list(front)}"
    return f"{text}; matched or beaten in all four: {and_list(beaten)}." if beaten else f"{text}."
