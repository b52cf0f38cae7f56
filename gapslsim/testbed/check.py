"""The main flow: a table of a testbed and a scenario in, errors out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from gapslsim.scenario.loading import read, vary
from gapslsim.scenario.schema import Scenario
from gapslsim.testbed.comparison import compare_cells, rank_agreement
from gapslsim.testbed.factors import wanted_factors
from gapslsim.testbed.fitting import fit_factors
from gapslsim.testbed.report import TestbedCheck
from gapslsim.testbed.selection import select_cells
from gapslsim.testbed.simulation import Setting, as_it_is, settings_of_cells, short, times_of
from gapslsim.testbed.table import Cell, read_testbed

__all__ = ["USUAL", "check_testbed"]

USUAL = ("compute", "memory", "serialise", "loading", "fixed", "rate", "power")
"""What is fitted unless something else is wanted; the prior decides where cells tell only a sum."""


def check_testbed(
    table: str | Path,
    scenario: str | Path,
    set: Iterable[str] = (),
    *,
    labels: Sequence[str] = (),
    ignored: Sequence[str] = (),
    by: Sequence[str] | None = None,
    rounds: int = 20,
    calibrate: Sequence[str] = (),
    fit: Sequence[str] = USUAL,
    network: str = "",
    draws: int = 0,
) -> TestbedCheck:
    """Compares what a testbed measured with dry runs of a scenario, one per cell of the table.

    Args:
        table: CSV or Parquet; see `table.read_testbed`.
        scenario: file or name of a shipped scenario.
        set: overrides, as for `load`.
        labels: columns that tell cells apart and set nothing.
        ignored: columns to leave out.
        by: columns that tell groups of cells apart; all unless given.
        rounds: to simulate of each cell.
        calibrate: cells to fit to, see `selection.select_cells`; none unless given.
        fit: kinds of factors, see `factors.FACTORS`.
        network: the label that names networks, for the factor `rate`.
        draws: of what the profiles leave open, for intervals of times and energies; none unless given.

    Raises:
        ScenarioError: if the scenario is wrong.
        TableError: if the table is, or a cell is no setting of the scenario.
        ComponentError: on an unknown factor.
    """
    source = read(scenario, set=set)
    found = read_testbed(Path(table), _phases(vary(source, ())), labels, ignored)
    settings = settings_of_cells(source, found.cells, found.source, rounds)
    fitted, chosen = None, []
    if calibrate:
        chosen = select_cells(found, calibrate)
        own = [setting for setting in settings if setting.cell in chosen]
        fitted = fit_factors(wanted_factors(fit, own, network), own, found.measures, network)
    run = partial(as_it_is if fitted is None else fitted.run, draws=draws)
    told = times_of(settings, found.measures, run)
    columns = [*found.labels, *found.paths] if by is None else list(by)
    compared = compare_cells(found, settings, told, columns)
    names = {_group(cell, columns) for cell in chosen}
    compared["calibrated"] = [
        tuple(row) in names for row in compared[columns].itertuples(index=False, name=None)
    ]
    title = f"{Path(table).name} beside {Path(scenario).name}"
    return TestbedCheck(title, compared, rank_agreement(compared, columns, found.labels), fitted)


def _group(cell: Cell, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell[column] for column in columns)


def _phases(scenario: Scenario) -> set[str]:
    """Every phase that a table may name: those of the scenario, and of local training."""
    # Draws of the scenario's own would be for nothing.
    spans = as_it_is(Setting(Cell(()), short(scenario))).spans
    return {str(phase) for phase in spans["phase"]} | {"local_training"}
