"""What smashed data gives away, and pictures of reconstructions; where `evaluation.leakage` or `leakage` looked."""

from __future__ import annotations

from typing import Final

import pandas as pd

from gapslsim.results.drawing.drawing import Drawing, Panel
from gapslsim.results.leaks import HOW_TO_READ, leakage_table, pictures, who_of
from gapslsim.results.report.data import Group, RunSet

__all__ = ["leakage_figure"]

_MOST_PICTURES: Final = 4
"""Groups of runs of which pictures are drawn, evenly among all."""


def leakage_figure(runs: RunSet) -> Drawing | None:
    """A table of what leaks by series, mean over seeds and models, and pictures of the first seed of some of them."""
    looked = [group for group in runs.groups if any(len(run.table("leakage")) for run in group.runs)]
    if not looked:
        return None
    alone, n = len(looked) == 1, runs.n_seeds
    seeds = f"Means over up to {n} seeds." if n > 1 else "Each row is of one run (one seed)."
    if alone:
        numbers = _over_seeds([run.table("leakage") for run in looked[0].runs])
        told = leakage_table(numbers, who_of(looked[0].runs[0].table("clients")))
        about = seeds
    else:
        whole = [_over_seeds([run.table("leakage") for run in group.runs]) for group in looked]
        every = [_over_models(table).assign(client=place) for place, table in enumerate(whole)]
        numbers, names = pd.concat(every), dict(enumerate(map(_name, looked)))
        told = leakage_table(numbers, names)
        numbers = numbers.rename(columns={"client": "series"}).replace({"series": names})
        about = f"{seeds} Means over the clients that were looked at."
    every_nth = -(-len(looked) // _MOST_PICTURES)
    panels = [
        panel for group in looked[::every_nth] for panel in _pictures(group, "" if alone else _name(group))
    ]
    return Drawing(
        "What smashed data gives away",
        panels,
        [about, *HOW_TO_READ],
        name="leakage",
        table=told,
        numbers=numbers,
        n_columns=2,
    )


def _name(group: Group) -> str:
    return ", ".join(filter(None, [group.panel, group.series]))


def _over_seeds(tables: list[pd.DataFrame]) -> pd.DataFrame:
    every = pd.concat(tables)
    return every.groupby(["client", "measure"], sort=False, as_index=False)[
        ["value", "baseline_value"]
    ].mean()


def _over_models(table: pd.DataFrame) -> pd.DataFrame:
    """Of the clients; of their mean where nobody else was looked at."""
    own = table[table["client"] >= 0] if (table["client"] >= 0).any() else table
    return own.groupby("measure", sort=False, as_index=False)[["value", "baseline_value"]].mean()


def _pictures(group: Group, title: str) -> list[Panel]:
    first = group.runs[0]
    return pictures(first.table("reconstructions"), who_of(first.table("clients")), title)
