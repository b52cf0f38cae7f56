"""The geometry of gradients in a few numbers per rule: means over the measured rounds, then over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import pandas as pd

from gapslsim.results import words
from gapslsim.results.compare import Comparison

__all__ = ["compare_geometry"]


_plain: Final = "{:.2f}".format


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


class _Figure(NamedTuple):
    """One column of the comparison."""

    column: str
    """Of the table `updates`; `admitted` is `n_admitted` over `n_clients`."""
    heading: str
    say: Callable[[float], str]


_FIGURES: Final = (
    _Figure("mean_angle_rad", "angle between clients [rad]", _plain),
    _Figure("dispersion_rad", "dispersion [rad]", _plain),
    _Figure("conflicting_pairs", "pairs in conflict", _percent),
    _Figure("selection_ratio", "K", _plain),
    _Figure("threshold_rad", "threshold [rad]", _plain),
    _Figure("admitted", "admitted", _percent),
    _Figure("cos_to_mean", "cos(update, mean)", _plain),
    _Figure("norm_ratio", "update / mean, length", _plain),
    _Figure("descending_share", "clients helped", _percent),
    _Figure("stable_rank", "stable rank", _plain),
)


def _means_of(updates: Iterable[pd.DataFrame]) -> dict[str, float]:
    """Mean over rounds of each table, then over tables; NaN where a figure has no meaning for the rule.

    Args:
        updates: tables `updates`, one per seed.
    """
    rows = []
    for table in updates:
        if len(table):
            known = table.assign(admitted=table["n_admitted"] / table["n_clients"])
            rows.append(known[[figure.column for figure in _FIGURES]].mean())
    if not rows:
        return {figure.column: math.nan for figure in _FIGURES}
    return {str(name): float(value) for name, value in pd.concat(rows, axis=1).mean(axis=1).items()}


def compare_geometry(
    groups: Sequence[tuple[str, Sequence[pd.DataFrame], Sequence[float]]], view: str = ""
) -> Comparison:
    """One row per rule, in the order given; columns that no rule has are left out.

    Args:
        groups: label, tables `updates` of its seeds, last accuracies of its seeds (in `view`).
        view: whose accuracies these are; empty for no such column.
    """
    means = [_means_of(tables) for _, tables, _ in groups]
    shown = [f for f in _FIGURES if any(not math.isnan(each[f.column]) for each in means)]
    columns = ["rule", *([f"accuracy, {view}"] if view else []), *(figure.heading for figure in shown)]
    rows = []
    for (label, _, accuracies), mean in zip(groups, means, strict=True):
        known = [words.accuracy(sum(accuracies) / len(accuracies)) if accuracies else words.MISSING]
        cells = [
            words.MISSING if math.isnan(mean[figure.column]) else figure.say(mean[figure.column])
            for figure in shown
        ]
        rows.append((label, *(known if view else []), *cells))
    return Comparison(tuple(columns), tuple(rows))
