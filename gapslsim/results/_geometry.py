"""The geometry of gradients in a few numbers per rule: means over the measured rounds, then over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import pandas as pd

from gapslsim.results import words
from gapslsim.results.compare import Comparison

__all__ = ["compare_geometry"]


class _Figure(NamedTuple):
    """One column of the comparison."""

    heading: str
    say: Callable[[float], str] = "{:.2f}".format


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


_FIGURES: Final = {
    "mean_angle_rad": _Figure("angle between clients [rad]"),
    "dispersion_rad": _Figure("dispersion [rad]"),
    "conflicting_pairs": _Figure("pairs in conflict", _percent),
    "selection_ratio": _Figure("K"),
    "threshold_rad": _Figure("threshold [rad]"),
    "admitted": _Figure("admitted", _percent),
    "cos_to_mean": _Figure("cos(update, mean)"),
    "norm_ratio": _Figure("update / mean, length"),
    "descending_share": _Figure("clients helped", _percent),
    "stable_rank": _Figure("stable rank"),
}
"""By column of the table `updates`; `admitted` is `n_admitted` over `n_clients`."""


def _means_of(updates: Iterable[pd.DataFrame]) -> pd.Series:
    """Mean over rounds of each table, then over tables; NaN where a figure has no meaning for the rule.

    Args:
        updates: tables `updates`, one per seed.
    """
    known = [
        table.assign(admitted=table["n_admitted"] / table["n_clients"]) for table in updates if len(table)
    ]
    of_seeds = [table[list(_FIGURES)].mean() for table in known]
    return pd.concat(of_seeds, axis=1).mean(axis=1) if of_seeds else pd.Series(math.nan, list(_FIGURES))


def compare_geometry(
    groups: Sequence[tuple[str, Sequence[pd.DataFrame], Sequence[float]]], view: str = ""
) -> Comparison:
    """One row per rule, in the order given; columns that no rule has are left out.

    Args:
        groups: label, tables `updates` of its seeds, last accuracies of its seeds (in `view`).
        view: whose accuracies these are; empty for no such column.
    """
    means = pd.DataFrame([_means_of(tables) for _, tables, _ in groups]).dropna(axis=1, how="all")
    told = {_FIGURES[name].heading: means[name].map(_FIGURES[name].say, na_action="ignore") for name in means}
    if view:
        last = [words.accuracy(sum(own) / len(own)) if own else words.MISSING for _, _, own in groups]
        told = {f"accuracy, {view}": pd.Series(last)} | told
    texts = pd.DataFrame(told, index=means.index).fillna(words.MISSING)
    rows = ((label, *row) for (label, *_), row in zip(groups, texts.itertuples(index=False), strict=True))
    return Comparison(("rule", *texts), tuple(rows))
