"""The page's section on how sure times and energies are: intervals over draws, and which orders are decided."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from gapslsim.results import words
from gapslsim.results.axis_values import is_number
from gapslsim.results.drawing.markup import Markup, joined, tag
from gapslsim.results.likely import Array, Order, draws_of, earliest_of, interval, orders
from gapslsim.results.rankings import drawn_quantities
from gapslsim.results.report._html import html_table
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.tables import likely_lines

__all__ = ["likely_section", "orders_of", "series_name"]


def likely_section(runs: RunSet) -> Markup:
    """A table and the rankings of each panel; empty if no run was drawn. Seeds are averaged draw by draw."""
    drawn = [run for run in runs.runs if run.summary.get("uncertainty")]
    if not drawn:
        return Markup()
    about = drawn[0].summary["uncertainty"]
    said = (
        f"{about['draws']} draws of what profiles leave open: the median, and the ends between which "
        f"{words.share(about['level'], 1.0)} lie. All runs have the same boards in a draw. Means over seeds."
    )
    found = orders_of(runs, about["decided"])
    made = [tag("p", said, class_="caption")]
    for panel in runs.panels:
        made += [tag("h3", panel)] if panel else []
        made.append(_table(runs.of_panel(panel), about["level"]))
        made.append(tag("ul", *(tag("li", f"{order}.") for order in found[panel])))
    causes = dict.fromkeys(line for run in drawn for line in likely_lines(run.summary["uncertainty"]))
    folded = tag("summary", "Where the spread comes from, run by run")
    made.append(tag("details", folded, tag("ul", *(tag("li", line) for line in causes))))
    return joined(made)


def orders_of(runs: RunSet, decided: float) -> dict[str, list[Order]]:
    """The rankings of each panel, where all its runs have as many draws."""
    found: dict[str, list[Order]] = {}
    for panel in runs.panels:
        groups = found.setdefault(panel, [])
        for quantity, name in _quantities(runs.of_panel(panel)).items():
            drawn = {series_name(runs, group): _over_seeds(group, quantity) for group in runs.of_panel(panel)}
            known = {series: values for series, values in drawn.items() if len(values)}
            earliest = {
                series_name(runs, group): _over_seeds(group, quantity, earliest_of)
                for group in runs.of_panel(panel)
            }
            if len({len(values) for values in known.values()}) == 1:
                groups += orders(known, name, decided, earliest)
    return found


def series_name(runs: RunSet, group: Group) -> str:
    """Of a series, with its axis where it is a bare number: `cut 2`."""
    axes = runs.studies[0].series if runs.studies else []
    return f"{axes[0]} {group.series}" if len(axes) == 1 and is_number(group.series) else group.series


def _table(groups: list[Group], level: float) -> Markup:
    rows = []
    for quantity, name in _quantities(groups).items():
        say = words.energy if quantity == "energy_j" else words.seconds
        found = [interval(_over_seeds(group, quantity), level) for group in groups]
        rows.append([name, *(f"{say(one['median'])}\n{words.between(one, say)}" for one in found)])
    return html_table(["", *(group.series for group in groups)], rows)


def _quantities(groups: list[Group]) -> dict[str, str]:
    found: dict[str, str] = {}
    for run in (run for group in groups for run in group.runs):
        found |= drawn_quantities(run.table("uncertainty"))
    return found


def _over_seeds(group: Group, quantity: str, of: Callable[[pd.DataFrame, str], Array] = draws_of) -> Array:
    """Mean of the seeds in each draw; empty if not all have as many draws."""
    found = [of(run.table("uncertainty"), quantity) for run in group.runs]
    if len({len(values) for values in found}) != 1:
        return np.zeros(0)
    mean: Array = np.mean(found, axis=0)
    return mean
