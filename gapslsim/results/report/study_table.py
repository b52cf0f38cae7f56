"""Studies, and runs of several seeds, as tables of texts: a row per series of each panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gapslsim.errors import ResultsError, did_you_mean
from gapslsim.results.compare import Comparison
from gapslsim.results.report._tables import group_figures
from gapslsim.results.report.data import RunSet
from gapslsim.results.report.differences import rows_of
from gapslsim.results.report.likely import series_name

__all__ = ["difference_lines", "study_table"]

MANY: Final = 12
"""Pairs; more than these nobody reads one by one."""


def study_table(runs: RunSet) -> Comparison:
    """Means, deviations and intervals over seeds."""
    rows = [
        (", ".join(filter(None, [group.panel, group.series])), group_figures(runs, group))
        for group in runs.groups
    ]
    return Comparison(("", *rows[0][1]), tuple((name, *of.values()) for name, of in rows))


def difference_lines(runs: RunSet, against: str = "", every: bool = False) -> Sequence[str]:
    """`accuracy: sfl before gapsl by 3.0 points (1.0 points .. 5.0 points) in 3 of 3 seeds, 99 % probable: decided
    (p 0.01)`; none where nothing has two seeds.

    Args:
        runs: with their seeds.
        against: a series that all others are compared with; else the best is.
        every: all of them, also where they are many. Else then only the best and the second of each panel and quantity.

    Raises:
        ResultsError: for an unknown series.
    """
    names = [series_name(runs, group) for group in runs.groups]
    if against and against not in names:
        hint = did_you_mean(against, names)
        raise ResultsError(
            f"there is no series {against!r} to compare with; there are: {', '.join(names)}.{hint}"
        )
    rows = rows_of(runs, against)
    shown = rows if every or against or len(rows) <= MANY else rows_of(runs, nearest=True)
    said = [
        f"{where}: {first} before {second} by {gap} in {wins} seeds, {probability} probable: {verdict}"
        for where, first, second, gap, wins, probability, verdict in shown
    ]
    left = len(rows) - len(shown)
    if left:
        said.append(
            f"Above stand the best and the second of each; the best and others: {left} more pairs, with '--pairs all'."
        )
    return said
