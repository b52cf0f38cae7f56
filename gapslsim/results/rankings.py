"""Which of several runs is faster, or takes less energy, and whether the draws decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results import words
from gapslsim.results.compare import labels_of
from gapslsim.results.likely import Order, draws_of, earliest_of, orders
from gapslsim.results.results import Results

__all__ = ["drawn_quantities", "rankings"]


def drawn_quantities(uncertainty: pd.DataFrame) -> dict[str, str]:
    """Quantities of a table of draws that runs can be ranked by, in words."""
    found = {"simulated_time_s": "simulated time", "energy_j": "energy"}
    for name in uncertainty["quantity"].unique():
        target = name.removeprefix("time_to_accuracy_s ")
        if target != name:
            found[name] = f"time to {words.accuracy(float(target))}"
    return found


def rankings(runs: Sequence[Results] | Mapping[str, Results], decided: float | None = None) -> list[Order]:
    """The order of neighbours in simulated time, energy and time to each target, with the share of draws that say so.

    Draws are paired: place i of each run means the same boards and links. A run that never reached a target is left out
    there. When a target was reached is known between two evaluations; draws in which these overlap count half.

    Args:
        runs: with draws (`with_draws`, or `uncertainty` in their scenario); those without are left out. By name, or
            named as `gapslsim compare` does.
        decided: share of the draws from which an order is decided; by default what the first run says.

    Raises:
        ResultsError: if runs have different numbers of draws.
    """
    if not isinstance(runs, Mapping):
        runs = dict(zip(labels_of([run.summary for run in runs]), runs, strict=True))
    tables = {label: run.uncertainty for label, run in runs.items() if len(run.uncertainty)}
    if decided is None:
        decided = next(
            (r.summary["uncertainty"]["decided"] for r in runs.values() if len(r.uncertainty)), 0.95
        )
    quantities: dict[str, str] = {}
    for table in tables.values():
        quantities |= drawn_quantities(table)
    found: list[Order] = []
    for quantity, of in quantities.items():
        drawn = {label: draws_of(table, quantity) for label, table in tables.items()}
        earliest = {label: earliest_of(table, quantity) for label, table in tables.items()}
        try:
            found += orders(
                {label: values for label, values in drawn.items() if len(values)}, of, decided, earliest
            )
        except ValueError as error:
            raise ResultsError(
                f"{error} with one number for all, as 'gapslsim compare --draws 200' does"
            ) from error
    return found
