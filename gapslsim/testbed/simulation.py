"""What the simulator says of each cell of a testbed's table: one dry run per cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gapslsim.calibration.table import TableError
from gapslsim.errors import GapslsimError, Problem, ScenarioError
from gapslsim.frameworks.framework import frameworks
from gapslsim.models.cost import split_cost
from gapslsim.results.results import Results
from gapslsim.scenario.checks import deep_problems
from gapslsim.scenario.limits import Stop
from gapslsim.scenario.loading import Source, vary
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import parse
from gapslsim.testbed.measures import Measure, simulated
from gapslsim.testbed.table import Cell
from gapslsim.uncertainty.draws import with_draws
from gapslsim.whole_run import whole_run

__all__ = ["Setting", "Told", "as_it_is", "settings_of_cells", "short", "times_of"]

_CUT = "model.cut"
WHOLE = "whole"
"""As `model.cut`: the client trains the whole network."""


@dataclass(frozen=True)
class Setting:
    """A cell and the scenario that it stands for."""

    cell: Cell
    scenario: Scenario


@dataclass(frozen=True)
class Told:
    """What the simulator says of a cell."""

    times: Mapping[str, np.ndarray]
    """Values of each measure."""
    interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Ends of the interval over the run's own value, by base unit: of whole times (s) and energies (J); none without
    draws."""


def settings_of_cells(source: Source, cells: Sequence[Cell], file: str, rounds: int) -> list[Setting]:
    """The scenario of every cell.

    Args:
        source: the scenario that the cells are settings of.
        cells: from the table.
        file: the table's name, for messages.
        rounds: how many are simulated.

    Raises:
        TableError: lists every cell that is no setting of the scenario, with its first row.
    """
    made, problems = [], []
    for cell in cells:
        try:
            made.append(Setting(cell, short(_scenario(source, cell), rounds)))
        except ScenarioError as error:
            problems += [
                Problem(p.path, p.message, file, cell.lines[0] if cell.lines else None)
                for p in error.problems
            ]
    if problems:
        # The same mistake is told once, with the first row that has it.
        raise TableError({(p.path, p.message): p for p in reversed(problems)}.values())
    return made


def _scenario(source: Source, cell: Cell) -> Scenario:
    texts = dict(cell.settings)
    cut = texts.pop(_CUT, None)
    changes = [(path, parse(text, None, origin=f"the table's column {path}")) for path, text in texts.items()]
    problems = [problem for _, (_, found) in changes for problem in found]
    if problems:
        raise ScenarioError(problems)
    trees = [(path, tree) for path, (tree, _) in changes]
    if cut is None:
        return vary(source, trees)
    if cut != WHOLE:
        scenario = vary(source, [*trees, (_CUT, parse(cut, None)[0])])
        if not _is_whole(scenario):
            return scenario
    return _on_the_client(vary(source, trees))


def _is_whole(scenario: Scenario) -> bool:
    """Whether the cut is one behind the last: nothing is left for the server."""
    cut: Any = scenario.model.cut
    if not isinstance(cut, int) or cut < 2:
        return False
    try:
        _cost(scenario, cut)
    except ValueError as error:
        try:
            _cost(scenario, cut - 1)
        except ValueError:
            raise ScenarioError([Problem(_CUT, str(error))]) from error
        return True
    return False


def _cost(scenario: Scenario, cut: int) -> None:
    from gapslsim.data.division import load_sound
    from gapslsim.data.source import public_data_folder

    data = load_sound(scenario.data, public_data_folder(), scenario.seed)
    model: Any = dataclasses.replace(scenario.model, cut=cut)
    split_cost(model, data.input_shape, data.n_classes, scenario.training.batch_size, data.input_dtype)


def _on_the_client(scenario: Scenario) -> Scenario:
    """The same with the whole network on every client: FedAvg, one epoch between exchanges of the model."""
    if scenario.framework.clients_hold_whole_model:
        return scenario
    fedavg: Any = frameworks["fedavg"]
    return dataclasses.replace(scenario, framework=fedavg())


def short(scenario: Scenario, rounds: int = 1) -> Scenario:
    """The same for so many rounds."""
    return dataclasses.replace(scenario, stop=Stop(rounds=rounds))


def as_it_is(setting: Setting, draws: int = 0) -> Results:
    """A dry run of a cell, with draws of what its profiles leave open if any are wanted."""
    scenario = dataclasses.replace(setting.scenario, uncertainty=None)
    try:
        results = whole_run(scenario, dry=True)
    except ValueError as error:
        # A cut that the model does not have, and the like: the deep checks say it in words.
        raise ScenarioError(found) if (found := deep_problems(scenario)) else error from error
    return with_draws(results, draws, scenario=setting.scenario) if draws else results


def times_of(
    settings: Sequence[Setting],
    measures: Sequence[Measure],
    run: Callable[[Setting], Results] = as_it_is,
) -> list[Told]:
    """Every measure of every cell, simulated.

    Args:
        settings: cells with their scenarios.
        measures: what the table holds.
        run: how a cell is simulated.

    Raises:
        GapslsimError: where a cell cannot be simulated; says which.
    """
    found: list[Told] = []
    for setting in settings:
        try:
            results = run(setting)
        except GapslsimError as error:
            raise TableError([Problem(setting.cell.name, str(error))]) from error
        of_cell = {}
        for measure in measures:
            if measure.name not in setting.cell.measured:
                continue
            sizes = setting.scenario.batch_sizes
            values = simulated(measure, results, sizes, setting.cell.client)
            if not len(values):
                phases = ", ".join(sorted(set(results.spans["phase"])))
                why = f"{measure.name} does not happen here; leave it empty (this cell has: {phases})"
                raise TableError([Problem(setting.cell.name, why, None, setting.cell.lines[0])])
            of_cell[measure.name] = values
        found.append(Told(of_cell, _interval(results.summary)))
    return found


def _interval(summary: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    drawn = summary.get("uncertainty")
    if not drawn:
        return {}
    # Energy is drawn for all nodes together; what clients take of it is off in proportion.
    nominal = {
        "s": (summary["simulated_time_s"], "simulated_time_s"),
        "J": (summary["energy_j"]["total"], "energy_j"),
    }
    return {
        unit: (drawn[name]["low"] / value, drawn[name]["high"] / value)
        for unit, (value, name) in nominal.items()
        if drawn[name] is not None
    }
