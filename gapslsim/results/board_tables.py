"""A board's numbers as tables for people: the standings, robustness, and each panel."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

import pandas as pd

from gapslsim.results import words
from gapslsim.results.drawing.drawing import TextTable

__all__ = ["in_order", "panel_table", "robustness_table", "standings_table"]

_SAY: Final[Mapping[str, Callable[[float], str]]] = {
    "s": words.seconds, "B": words.size, "J": words.energy, "1": words.accuracy,
}  # fmt: skip
_COUNTED: Final = ("time", "bytes", "energy")
_RANKED: Final = (("quality", "accuracy in {}"), ("cost", "{} to target"))


def in_order(rows: pd.DataFrame) -> list[str]:
    """Series by their mean place by accuracy within the time budget; equal ones by bytes, energy, then as they come.

    Args:
        rows: of a board: columns series, where, those of `MeasureRow` and of `BoardRow`.
    """
    quality = rows[rows["question"] == "quality"]
    means = quality.groupby(["series", "counted"])["place"].mean()
    names = list(dict.fromkeys(rows["series"]))
    return sorted(names, key=lambda name: [means.get((name, what), float("inf")) for what in _COUNTED])


def standings_table(rows: pd.DataFrame) -> TextTable:
    """Mean place of each series over all panels, best .. worst, and in how many it is first.

    Args:
        rows: see `in_order`.
    """
    ranked = rows[rows["question"].isin([question for question, _ in _RANKED])]
    n_rankings = len(ranked[["where", "question", "counted"]].drop_duplicates())
    head = ["", *(title.format(name) for _, title in _RANKED for name in _COUNTED)]
    head += [f"alone first (of {n_rankings})", "tied for first"]
    made = []
    for name in in_order(rows):
        own = ranked[ranked["series"] == name]
        cells = []
        for question, _ in _RANKED:
            for what in _COUNTED:
                places = own[(own["question"] == question) & (own["counted"] == what)]["place"]
                cells.append(_places(places))
        made.append([name, *cells, *(str(int((own["first"] == how).sum())) for how in ("alone", "tied"))])
    return TextTable(head, made)


def _places(places: pd.Series[int]) -> str:
    """`2.3 (1 .. 5)`."""
    if places.empty:
        return words.MISSING
    ends = "" if places.min() == places.max() else f" ({places.min()} .. {places.max()})"
    return f"{places.mean():.1f}{ends}"


def robustness_table(rows: pd.DataFrame) -> TextTable:
    """What skewed data costs each series, how far its seeds lie apart, and its mean place on each fleet.

    Args:
        rows: see `in_order`; with columns fleet and partition.
    """
    fleets = [fleet for fleet in dict.fromkeys(rows["fleet"]) if fleet]
    has_loss = (rows["question"] == "loss").any()
    head = ["", *(["points lost on skewed data", "place by that"] if has_loss else [])]
    head += ["points between seeds, mean (most)"]
    head += [f"place on {fleet}" for fleet in fleets] + (["worst fleet"] if len(fleets) > 1 else [])
    made = []
    for name in in_order(rows):
        own = rows[rows["series"] == name]
        lost, whole = (own[own["question"] == question] for question in ("loss", "whole run"))
        cells = []
        if has_loss:
            ends = [f"{100 * lost['mean'].min():.1f}", f"{100 * lost['mean'].max():.1f}"]
            cells = [" .. ".join(dict.fromkeys(ends)), _places(lost["place"])] if len(lost) else ["-", "-"]
        deviations = 100 * whole["std"].dropna()
        cells.append(
            f"{deviations.mean():.1f} ({deviations.max():.1f})" if len(deviations) else words.MISSING
        )
        quality = own[(own["question"] == "quality") & (own["counted"] == "time")]
        means = {fleet: quality[quality["fleet"] == fleet]["place"].mean() for fleet in fleets}
        cells += [f"{mean:.1f}" if mean == mean else words.MISSING for mean in means.values()]
        if len(fleets) > 1:
            known = {fleet: mean for fleet, mean in means.items() if mean == mean}
            worst = [fleet for fleet, mean in known.items() if mean == max(known.values())]
            cells.append("none" if len(worst) == len(fleets) else words.listed(worst) or words.MISSING)
        made.append([name, *cells])
    return TextTable(head, made)


def panel_table(rows: pd.DataFrame) -> TextTable:
    """Every series of one panel: numbers, and below them places, with those that seeds leave open.

    Args:
        rows: of one panel, see `in_order`.
    """
    rows = rows[rows["question"] != "loss"]
    columns = rows[["question", "counted", "level"]].drop_duplicates().itertuples(index=False, name=None)
    keys = list(columns)
    head = ["", *(_heading(rows, *key) for key in keys)]
    made, strong = [], set()
    for line, name in enumerate(in_order(rows)):
        own = rows[rows["series"] == name]
        cells = []
        for column, (question, what, _) in enumerate(keys, 1):
            found = own[(own["question"] == question) & (own["counted"] == what)]
            cells += [_cell(row) for row in found.to_dict("records")] or [words.MISSING]
            if (found["first"] == "alone").any():
                strong.add((line, column))
        made.append([name, *cells])
    return TextTable(head, made, frozenset(strong))


def _heading(rows: pd.DataFrame, question: str, what: str, level: float) -> str:
    if question == "quality":
        unit = {"time": "s", "bytes": "B", "energy": "J"}[what]
        return f"accuracy within {_SAY[unit](level)}"
    return f"{what} to {words.percent(level)}" if question == "cost" else "accuracy, whole run"


def _cell(row: Mapping[Hashable, Any]) -> str:
    """`74.2 % ± 1.1`, and below it `2 (1 .. 4)`."""
    is_bound, mean = row["n_reached"] < row["n_seeds"], float(row["mean"])
    if row["question"] == "cost":
        text = f"{row['n_reached']} of {row['n_seeds']} seeds" if is_bound else _SAY[row["unit"]](mean)
    else:
        deviation = "" if math.isnan(row["std"]) else f" ± {100 * row['std']:.1f}"
        text = f"{'≥ ' if is_bound else ''}{words.accuracy(mean)}{deviation}"
    ends = row["best_place"], row["worst_place"]
    between = "" if ends[0] == ends[1] else f" ({ends[0]} .. {ends[1]})"
    how = {"alone": ", alone first", "tied": ", tied for first"}.get(row["first"], "")
    return f"{text}\n{row['place']}{between}{how}"
