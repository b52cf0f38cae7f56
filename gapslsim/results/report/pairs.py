"""Angles between the gradients of every two clients: how they spread over rounds, and between whom they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from gapslsim.results.report.data import Group, Run, RunSet
from gapslsim.results.report.figure import Panel
from gapslsim.results.report.svg import Plot, Scale, tag

__all__ = ["pair_panels"]

_POINTS: Final = 40
"""Bins of rounds."""
_MOST_NUMBERS: Final = 12
"""Clients up to which the cells of a matrix show their number."""
_MOST_SERIES: Final = 12
"""Series whose pairs are drawn, the first ones: each takes two panels."""


def pair_panels(runs: RunSet, groups: Sequence[Group]) -> list[tuple[str, Sequence[Panel], Sequence[str]]]:
    """A folded part with two panels per series, of its first seed that recorded pairs; empty if none did."""
    panels: list[Panel] = []
    caption = [
        "First: median over the pairs of clients, with a band from the tenth to the ninetieth percentile and thin "
        "lines for the closest and the farthest pair. Then: mean angle of each pair over the measured rounds, in "
        "degrees; the darker a cell, the farther apart its two clients."
    ]
    measured = [
        (group, run)
        for group in groups
        if (run := next((r for r in group.runs if len(r.table("pairwise"))), None))
    ]
    for group, run in measured[:_MOST_SERIES]:
        number = runs.index(group.series)
        name = f"{group.series}, seed {run.seed}"
        panels += [
            Panel(f"Pairwise angles: {name}", _spread(run.table("pairwise"), number, name)),
            Panel(f"Who lies far from whom: {name}", _matrix(run.table("pairwise"), number, name)),
        ]
        caption.append(_words(group, run))
    if not panels:
        return []
    if len(measured) > _MOST_SERIES:
        caption.append(
            f"Shown are the first {_MOST_SERIES} of {len(measured)}; the table `pairwise` has the others."
        )
    return [("Angles between every two clients", panels, caption)]


def _spread(pairwise: pd.DataFrame, number: int, name: str) -> str:
    rounds = np.sort(pairwise["round"].unique())
    bins = np.array_split(rounds, min(_POINTS, len(rounds)))
    place = {int(round): index for index, part in enumerate(bins) for round in part}
    angles = pairwise["angle_rad"].groupby(pairwise["round"].map(place))
    middle = [float(part.mean()) for part in bins]
    shares = {share: angles.quantile(share).tolist() for share in (0.0, 0.1, 0.5, 0.9, 1.0)}
    y = Scale.over([*shares[0.0], *shares[1.0], math.pi / 2])
    plot = Plot(Scale(0.0, max(float(rounds[-1]), 1.0) * 1.03), y, height=230)
    plot.axes("round", "angle [rad]")
    plot.band(list(zip(middle, shares[0.1], shares[0.9], strict=True)), number)
    for share in (0.0, 1.0):
        plot.line(list(zip(middle, shares[share], strict=True)), number, marks=False, thin=True)
    plot.line(list(zip(middle, shares[0.5], strict=True)), number)
    return plot.svg(f"pairwise angles of {name}")


def _matrix(pairwise: pd.DataFrame, number: int, name: str) -> str:
    means = pairwise.groupby(["client", "other"])["angle_rad"].mean()
    clients = sorted({*pairwise["client"], *pairwise["other"]})
    size = 250.0 / len(clients)
    plot = Plot(Scale(0, 1), Scale(0, 1), height=300, left=46)
    for row, client in enumerate(clients):
        y = plot.top + row * size
        plot.text(plot.left - 6, y + size / 2 + 4, str(client), anchor="end")
        plot.text(plot.left + row * size + size / 2, plot.top - 6, str(client), anchor="middle")
        for column, other in enumerate(clients):
            if (client, other) not in means.index or client == other:
                continue
            angle = float(means[client, other])
            # Each pair twice, as a matrix of distances is read.
            for x, top in ((column, row), (row, column)):
                plot.add(
                    tag(
                        "rect", x=plot.left + x * size, y=plot.top + top * size, width=size - 1, height=size - 1,
                        class_=f"cell c{number % 8}", fill_opacity=round(0.7 * angle / math.pi, 3),
                    )
                )  # fmt: skip
                if len(clients) <= _MOST_NUMBERS:
                    middle = plot.left + (x + 0.5) * size, plot.top + (top + 0.5) * size + 4
                    plot.text(*middle, f"{math.degrees(angle):.0f}", anchor="middle")
    return plot.svg(f"mean angle of every pair of clients of {name}")


def _words(group: Group, run: Run) -> str:
    means = run.table("pairwise").groupby(["client", "other"])["angle_rad"].mean()
    near, far = means.idxmin(), means.idxmax()
    return (
        f"{group.series}: closest are clients {near[0]} and {near[1]} ({math.degrees(means.min()):.0f} degrees on "
        f"average), farthest {far[0]} and {far[1]} ({math.degrees(means.max()):.0f} degrees)."
    )
