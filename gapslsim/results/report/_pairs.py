"""Angles between the gradients of every two clients: how they spread over rounds, and between whom they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from gapslsim.results.drawing.drawing import Bar, Curve, Drawing, Panel, Row, Scale
from gapslsim.results.names import Names
from gapslsim.results.report.data import Group, Run, RunSet

__all__ = ["pair_figures"]

_POINTS: Final = 40
"""Bins of rounds."""
_MOST_NUMBERS: Final = 12
"""Clients up to which the cells of a matrix show their number."""
_MOST_SERIES: Final = 12
"""Series whose pairs are drawn, the first ones: each takes two panels."""


def pair_figures(runs: RunSet, groups: Sequence[Group]) -> list[Drawing]:
    """A figure with two panels per series, of its first seed that recorded pairs; empty if none did."""
    panels: list[Panel] = []
    caption = [
        "First: median over the pairs of clients, with a band from the tenth to the ninetieth percentile and thin "
        "lines for the closest and the farthest pair. Then: mean angle of each pair over the measured rounds, in "
        "degrees; the darker a cell, the farther apart its two clients."
    ]
    first = (
        (group, next((run for run in group.runs if len(run.table("pairwise"))), None)) for group in groups
    )
    measured = [(group, run) for group, run in first if run is not None]
    for group, run in measured[:_MOST_SERIES]:
        number = runs.index(group.series)
        name = f"{group.series}, seed {run.seed}"
        panels += [_spread(run.table("pairwise"), number, name), _matrix(run.table("pairwise"), number, name)]
        caption.append(_words(group, run))
    if not panels:
        return []
    if len(measured) > _MOST_SERIES:
        caption.append(
            f"Shown are the first {_MOST_SERIES} of {len(measured)}; the table `pairwise` has the others."
        )
    return [Drawing("Angles between every two clients", panels, caption, series=runs.series)]


def _spread(pairwise: pd.DataFrame, number: int, name: str) -> Panel:
    rounds = np.sort(pairwise["round"].unique())
    bins = np.array_split(rounds, min(_POINTS, len(rounds)))
    place = {int(round): index for index, part in enumerate(bins) for round in part}
    angles = pairwise["angle_rad"].groupby(pairwise["round"].map(place))
    middle = [float(part.mean()) for part in bins]
    shares = {share: angles.quantile(share).tolist() for share in (0.0, 0.1, 0.5, 0.9, 1.0)}
    most = pd.DataFrame({"x": middle, "mean": shares[0.5], "low": shares[0.1], "high": shares[0.9]})
    ends = [
        Curve(number, pd.DataFrame({"x": middle, "mean": shares[share]}), marks=False, thin=True)
        for share in (0.0, 1.0)
    ]
    high = Scale.over([*shares[0.0], *shares[1.0], math.pi / 2], "angle [rad]")
    along = Scale("round", 0.0, max(float(rounds[-1]), 1.0) * 1.03)
    return Panel(f"Pairwise angles: {name}", along, high, [*ends, Curve(number, most)])


def _matrix(pairwise: pd.DataFrame, number: int, name: str) -> Panel:
    means = pairwise.groupby(["client", "other"])["angle_rad"].mean()
    clients = sorted({*pairwise["client"], *pairwise["other"]})
    place = {client: index for index, client in enumerate(clients)}
    is_told = len(clients) <= _MOST_NUMBERS
    bars = [
        Bar(row, column, column + 1, number, shade=round(0.7 * angle / math.pi, 3),
            text=f"{math.degrees(angle):.0f}" if is_told else "")
        for (client, other), angle in means.items() if client != other
        # Each pair twice, as a matrix of distances is read.
        for row, column in ((place[client], place[other]), (place[other], place[client]))
    ]  # fmt: skip
    names = [str(client) for client in clients]
    return Panel(
        f"Who lies far from whom: {name}", Scale("", 0, len(names)), Scale(), bars, [Row(n) for n in names],
        row_height=250.0 / len(names), columns=names,
    )  # fmt: skip


def _words(group: Group, run: Run) -> str:
    means = run.table("pairwise").groupby(["client", "other"])["angle_rad"].mean()
    name = Names(run.table("clients")).client
    near, far = (" and ".join(map(name, pair)) for pair in (means.idxmin(), means.idxmax()))
    return (
        f"{group.series}: closest are {near} ({math.degrees(means.min()):.0f} degrees on average), farthest {far} "
        f"({math.degrees(means.max()):.0f} degrees)."
    )
