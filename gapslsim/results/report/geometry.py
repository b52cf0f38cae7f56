"""Gradient geometry over rounds: angles, dispersion, who is admitted, and what the update has to do with the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from gapslsim.results._binning import line_over_seeds
from gapslsim.results._geometry import compare_geometry
from gapslsim.results.compare import Comparison
from gapslsim.results.drawing.drawing import Bar, Curve, Drawing, Panel, Row, Scale, TextTable
from gapslsim.results.names import Names
from gapslsim.results.report._pairs import pair_figures
from gapslsim.results.report.data import Group, Run, RunSet
from gapslsim.results.statistics import seeds_words

__all__ = ["geometry_figure", "geometry_table"]


_QUANTITIES: Final = {
    "mean_angle_rad": ("Mean angle between two clients' gradients", "angle [rad]"),
    "dispersion_rad": ("Dispersion of the clients' mean angles", "std [rad]"),
    "conflicting_pairs": ("Pairs in conflict (more than 90 degrees)", "share of pairs"),
    "selection_ratio": ("Selection ratio K", "share of clients"),
    "angle_to_leader_rad": ("Angle to the leader gradient", "angle [rad]"),
    "threshold_rad": ("Threshold of admission", "angle [rad]"),
    "admitted": ("Clients admitted", "share of clients"),
    "cos_to_mean": ("Cosine of update and mean gradient", "cosine"),
    "norm_ratio": ("Length of the update over that of the mean", "ratio"),
    "descending_share": ("Clients whose loss the update lowers", "share of clients"),
    "stable_rank": ("Stable rank of the gradients", "rank"),
}
"""Title and label of the axis, by column."""
_SEEN: Final = [
    "mean_angle_rad", "dispersion_rad", "selection_ratio", "threshold_rad", "angle_to_leader_rad", "admitted",
]  # fmt: skip
"""Of these quantities, those that a rule sees itself."""
_MOST_ROWS: Final = 40
"""Clients whose admission is drawn."""


def geometry_figure(runs: RunSet) -> Drawing | None:
    """Lines for each series that records geometry, in the first panel that has any; who is admitted; every pair."""
    measured = [g for g in runs.groups if any(map(_has_geometry, g.runs))]
    if not measured:
        return None
    panel = measured[0].panel
    groups = [g for g in measured if g.panel == panel]
    lines = {g.series: _lines(g) for g in groups}
    panels = []
    for column in _QUANTITIES:
        known = {name: own[column] for name, own in lines.items() if len(own[column])}
        if known:
            panels.append(_panel(runs, column, known))
    for group in groups:
        led = [(run.seed, table) for run in group.runs if len(table := run.table("alignment"))]
        if led:
            seed, seen = led[0]
            heading = f"Who is admitted: {group.series}, seed {seed}{_cut(seen)}"
            panels.append(_admissions(heading, runs.index(group.series), seen))
    where = f" ({panel})" if panel else ""
    updated = [replace(g, panel="") for g in groups if any(len(run.table("updates")) for run in g.runs)]
    told = geometry_table(updated, runs.view if runs.views else "")
    return Drawing(
        f"Gradient geometry over rounds{where}",
        panels,
        [seeds_words(max(len(g.runs) for g in groups)), *(_words(g, lines[g.series]) for g in groups)],
        name="geometry",
        series=runs.series,
        more=pair_figures(runs, groups),
        table=TextTable(told.columns, told.rows) if told is not None else TextTable((), ()),
    )


def _has_geometry(run: Run) -> bool:
    return len(run.table("alignment")) > 0 or len(run.table("updates")) > 0


def _per_round(run: Run) -> pd.DataFrame:
    """A row per round: what the rule itself saw, and what was measured."""
    parts = []
    if len(run.table("alignment")):
        seen = run.table("alignment").groupby("round").mean(numeric_only=False)
        parts.append(seen.rename(columns={"score_rad": "mean_angle_rad"})[_SEEN])
    if len(run.table("updates")):
        measured = run.table("updates").set_index("round")
        share = measured["n_admitted"] / measured["n_clients"]
        parts.append(measured.assign(admitted=share.where(measured["n_leaders"] > 0)))
    whole = parts[0] if len(parts) == 1 else parts[0].combine_first(parts[1])
    return whole.astype(float)


def _lines(group: Group) -> dict[str, pd.DataFrame]:
    """Per quantity: columns x (round), mean, low, high over seeds, in bins of rounds; empty where it has no meaning."""
    tables = [_per_round(run) for run in group.runs if _has_geometry(run)]
    return {name: _line([t[name] for t in tables if name in t]) for name in _QUANTITIES}


def _line(columns: list[pd.Series]) -> pd.DataFrame:
    if not columns:
        return pd.DataFrame()
    wide = pd.concat(columns, axis=1).dropna(how="all")
    return line_over_seeds(wide)[0] if len(wide) else pd.DataFrame()


def _panel(runs: RunSet, column: str, lines: dict[str, pd.DataFrame]) -> Panel:
    title, label = _QUANTITIES[column]
    last = max(float(line["x"].max()) for line in lines.values())
    values = [float(v) for line in lines.values() for v in (line["low"].min(), line["high"].max())]
    starts_at_zero = column in ("dispersion_rad", "norm_ratio")
    high = Scale.over(values, label, zero=starts_at_zero)
    if label.startswith("share"):
        high = Scale(label, 0.0, 1.03)
    curves = [Curve(runs.index(name), line) for name, line in lines.items()]
    return Panel(title, Scale("round", 0.0, max(last, 1.0) * 1.03), high, curves)


def _admissions(title: str, series: int, alignment: pd.DataFrame) -> Panel:
    """One row per client: the darker a cell, the larger the share of its rounds in which the client is admitted."""
    table = alignment.astype({"admitted": float}).pivot_table("admitted", "client", "round")
    parts = np.array_split(np.arange(table.shape[1]), min(40, table.shape[1]))
    last = float(table.columns.max())
    width = last / len(parts)
    rows, bars = [], []
    for row, client in enumerate(table.index[:_MOST_ROWS]):
        values = table.loc[client].to_numpy()
        rows.append(Row(str(client), f"{100 * np.nanmean(values):.0f} %"))
        for number, part in enumerate(parts):
            share = float(np.nanmean(values[part])) if np.isfinite(values[part]).any() else 0.0
            if share > 0:
                bars.append(Bar(row, number * width, (number + 1) * width, series, shade=round(share, 2)))
    along = Scale("round", 0.0, last)
    return Panel(title, along, Scale("client"), bars, rows, row_height=13, note_label="rounds")


def _cut(alignment: pd.DataFrame) -> str:
    n_clients = int(alignment["client"].nunique())
    return f" (the first {_MOST_ROWS} of {n_clients} clients)" if n_clients > _MOST_ROWS else ""


def geometry_table(groups: Sequence[Group], view: str) -> Comparison | None:
    """Means over measured rounds and seeds, a row per group; None if nothing was measured.

    Args:
        groups: of a page.
        view: whose accuracies are told; empty for none.
    """
    tables = [[run.table("updates") for run in group.runs] for group in groups]
    if not any(len(table) for own in tables for table in own):
        return None
    names = [", ".join(filter(None, [group.series, group.panel])) for group in groups]
    accuracies = [group.accuracies(view) for group in groups]
    return compare_geometry(list(zip(names, tables, accuracies, strict=True)), view)


def _words(group: Group, lines: dict[str, pd.DataFrame]) -> str:
    said = []
    angle = lines["mean_angle_rad"]
    if len(angle):
        begin, end = float(angle["mean"].iloc[0]), float(angle["mean"].iloc[-1])
        way = "rises" if end > begin * 1.02 else "falls" if end < begin * 0.98 else "stays"
        said.append(f"the mean angle between clients {way} from {begin:.2f} to {end:.2f} rad")
    threshold = lines["threshold_rad"]
    if len(threshold):
        said.append(f"the threshold ends at {float(threshold['mean'].iloc[-1]):.2f} rad")
    cosine, helped = lines["cos_to_mean"], lines["descending_share"]
    if len(cosine) and len(helped):
        said.append(
            f"on average the update has cosine {float(cosine['mean'].mean()):.2f} to the mean gradient "
            f"and lowers the loss of {100 * float(helped['mean'].mean()):.0f} % of the clients"
        )
    said += _admission_words(group, lines["admitted"])
    return f"{group.series}: {'; '.join(said)}." if said else ""


def _admission_words(group: Group, admitted: pd.DataFrame) -> list[str]:
    tables = [run.table("alignment") for run in group.runs if len(run.table("alignment"))]
    if not tables or not len(admitted):
        return []
    said = [f"{100 * float(admitted['mean'].mean()):.0f} % of the clients are admitted per round"]
    shares = pd.concat(tables).groupby("client")["admitted"].mean()
    if shares.max() > shares.min():
        least, most = map(Names(group.runs[0].table("clients")).client, (shares.idxmin(), shares.idxmax()))
        said.append(
            f"{least} is admitted least ({100 * shares.min():.0f} % of rounds), {most} most "
            f"({100 * shares.max():.0f} %)"
        )
    return said
