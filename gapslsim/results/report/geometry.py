"""Gradient geometry over rounds: angles, dispersion, selection ratio, threshold, and who is admitted."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.report.figure import Figure, Panel, legend, seeds_words
from gapslsim.results.report.svg import Plot, Scale, tag

__all__ = ["geometry_figure"]


class _Quantity(NamedTuple):
    title: str
    column: str
    label: str
    over_clients: bool
    """Mean over clients; else it is the same for all clients of a round."""


_QUANTITIES: Final = (
    _Quantity("Mean angle to the other clients' gradients", "score_rad", "angle [rad]", True),
    _Quantity("Dispersion of these angles", "dispersion_rad", "std [rad]", False),
    _Quantity("Selection ratio K", "selection_ratio", "share of clients", False),
    _Quantity("Angle to the leader gradient", "angle_to_leader_rad", "angle [rad]", True),
    _Quantity("Threshold of admission", "threshold_rad", "angle [rad]", False),
    _Quantity("Clients admitted", "admitted", "share of clients", True),
)
_MOST_ROWS: Final = 40
"""Clients whose admission is drawn."""
_POINTS: Final = 60
"""Bins that a line is reduced to, so that a long run stays readable."""


def geometry_figure(runs: RunSet) -> Figure | None:
    """Lines for each series that records geometry, in the first panel that has any; and who is admitted when."""
    for panel in runs.panels:
        groups = [g for g in runs.of_panel(panel) if any(len(run.alignment) for run in g.runs)]
        if groups:
            break
    else:
        return None
    lines = {g.series: {q.column: _line(g, q) for q in _QUANTITIES} for g in groups}
    panels = []
    for quantity in _QUANTITIES:
        known = {name: own[quantity.column] for name, own in lines.items() if len(own[quantity.column])}
        if known:
            panels.append(Panel(quantity.title, _plot(runs, quantity, known)))
    for group in groups:
        run = next(run for run in group.runs if len(run.alignment))
        panels.append(
            Panel(
                f"Who is admitted: {group.series}, seed {run.seed}{_cut(run.alignment)}",
                _strips(runs, group, run.alignment),
            )
        )
    where = f" ({panel})" if panel else ""
    names = [g.series for g in groups]
    return Figure(
        "geometry",
        f"Gradient geometry over rounds{where}",
        panels,
        [seeds_words(max(len(g.runs) for g in groups)), *(_words(g, lines[g.series]) for g in groups)],
        legend=legend(names, numbers=[runs.index(name) for name in names]),
    )


def _line(group: Group, quantity: _Quantity) -> pd.DataFrame:
    """Columns round, mean, low, high over seeds, in bins of rounds."""
    rows = []
    for run in group.runs:
        if len(run.alignment):
            rows.append(run.alignment.groupby("round")[quantity.column].mean())
    if not rows:
        return pd.DataFrame()
    wide = pd.concat(rows, axis=1).dropna(how="all").astype(float)
    if wide.empty:
        return wide
    width = max(1, math.ceil(len(wide) / _POINTS))
    bins = np.arange(len(wide)) // width
    binned = wide.groupby(bins).mean()
    middle = pd.Series(wide.index.to_numpy(dtype=float)).groupby(bins).mean()
    return pd.DataFrame(
        {"round": middle, "mean": binned.mean(axis=1), "low": binned.min(axis=1), "high": binned.max(axis=1)}
    )


def _plot(runs: RunSet, quantity: _Quantity, lines: dict[str, pd.DataFrame]) -> str:
    last = max(float(line["round"].max()) for line in lines.values())
    values = [float(v) for line in lines.values() for v in (line["low"].min(), line["high"].max())]
    is_share = quantity.label.startswith("share")
    y = Scale(0.0, 1.03) if is_share else Scale.over([*values], zero=quantity.column == "dispersion_rad")
    plot = Plot(Scale(0.0, last * 1.03), y, height=200)
    plot.axes("round", quantity.label)
    for name, line in lines.items():
        if line["low"].lt(line["high"]).any():
            points = line[["round", "low", "high"]].itertuples(index=False, name=None)
            plot.band(list(points), runs.index(name))
    for name, line in lines.items():
        plot.line(list(zip(line["round"], line["mean"], strict=True)), runs.index(name))
    return plot.svg(quantity.title)


def _strips(runs: RunSet, group: Group, alignment: pd.DataFrame) -> str:
    """One row per client: the darker a cell, the larger the share of its rounds in which the client is admitted."""
    table = alignment.pivot_table(index="client", columns="round", values="admitted", aggfunc="mean").astype(
        float
    )
    n_bins = min(40, table.shape[1])
    parts = np.array_split(np.arange(table.shape[1]), n_bins)
    row, left, right = 13.0, 46.0, 44.0
    clients = list(table.index)[:_MOST_ROWS]
    last = float(table.columns.max())
    plot = Plot(Scale(0.0, last), Scale(0, 1), height=56 + row * len(clients), left=left, right=right, top=20)
    plot.axes("round", "client", y_ticks=False)
    plot.text(plot.width - 2, plot.top - 7, "rounds", anchor="end", cls="label")
    width = (plot.width - left - right) / n_bins
    for index, client in enumerate(clients):
        values = table.loc[client].to_numpy()
        y = plot.top + 1 + row * index
        plot.text(left - 6, y + 10, str(client), anchor="end")
        for number, part in enumerate(parts):
            share = float(np.nanmean(values[part])) if np.isfinite(values[part]).any() else 0.0
            if share > 0:
                plot.add(
                    tag(
                        "rect", x=left + number * width, y=y, width=width, height=row - 2,
                        class_=f"cell c{runs.index(group.series) % 8}", fill_opacity=round(share, 2),
                    )
                )  # fmt: skip
        plot.text(plot.width - 2, y + 10, f"{100 * np.nanmean(values):.0f} %", anchor="end")
    return plot.svg(f"admitted clients of {group.series}")


def _cut(alignment: pd.DataFrame) -> str:
    n_clients = int(alignment["client"].nunique())
    return f" (the first {_MOST_ROWS} of {n_clients} clients)" if n_clients > _MOST_ROWS else ""


def _words(group: Group, lines: dict[str, pd.DataFrame]) -> str:
    said = []
    angle = lines["score_rad"]
    if len(angle):
        begin, end = float(angle["mean"].iloc[0]), float(angle["mean"].iloc[-1])
        way = "rises" if end > begin * 1.02 else "falls" if end < begin * 0.98 else "stays"
        said.append(f"the mean angle between clients {way} from {begin:.2f} to {end:.2f} rad")
    threshold = lines["threshold_rad"]
    if len(threshold):
        said.append(f"the threshold ends at {float(threshold['mean'].iloc[-1]):.2f} rad")
    admitted = lines["admitted"]
    if len(admitted):
        said.append(f"{100 * float(admitted['mean'].mean()):.0f} % of the clients are admitted per round")
    shares = pd.concat([run.alignment for run in group.runs]).groupby("client")["admitted"].mean()
    if len(shares) and shares.max() > shares.min():
        least, most = shares.idxmin(), shares.idxmax()
        said.append(
            f"client {least} is admitted least ({100 * shares.min():.0f} % of rounds), "
            f"client {most} most ({100 * shares.max():.0f} %)"
        )
    return f"{group.series}: {'; '.join(said)}." if said else ""
