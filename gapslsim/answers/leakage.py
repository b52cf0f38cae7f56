"""What the smashed data of a run gives away: an attack on the client-side models that it trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from gapslsim.attacks.attack import Attack
from gapslsim.errors import GapslsimError, Problem, ResultsError, ScenarioError
from gapslsim.learning.journal.folder import MARKER
from gapslsim.results.drawing.drawing import Drawing, TextTable
from gapslsim.results.frames import TABLES, frame
from gapslsim.results.leaks import HOW_TO_READ, leakage_table, pictures, who_of
from gapslsim.results.place import JOURNAL
from gapslsim.results.results import Results
from gapslsim.results.store import StoredRun, write_tables
from gapslsim.results.study import RUNS
from gapslsim.results.summary import plain
from gapslsim.run import Observer
from gapslsim.scenario.leaks import check_leakage
from gapslsim.scenario.loading import load, loads
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import dotted
from gapslsim.whole_run import whole_run

__all__ = ["Leakage", "leakage"]


@dataclass(frozen=True, eq=False)
class Leakage:
    """What smashed data gives away."""

    label: str
    """Of the run."""
    table: pd.DataFrame = field(repr=False)
    """The table `leakage`: client (-1 for the mean of all), measure, value, baseline_value, n_samples, n_auxiliary,
    known_from, n_epochs."""
    reconstructions: pd.DataFrame = field(repr=False)
    """Pixels of some inputs and of what was made of them; empty where inputs are no images."""
    who: Mapping[int, str] = field(repr=False)
    """Whose model it is, by number."""
    was_there: bool = False
    """Whether the run directory held it already."""

    @property
    def title(self) -> str:
        """What was looked at, and how hard."""
        first = self.table.iloc[0]
        known = {"test": "others", "train": "training inputs", "client": "inputs of client-0"}[
            first["known_from"]
        ]
        knows = f"one who knows {first['n_auxiliary']} {known}"
        return f"{self.label}: {first['n_samples']} test inputs attacked by {knows}"

    def words(self) -> TextTable:
        """As people read it, a row per model."""
        return leakage_table(self.table, dict(self.who))

    def drawing(self) -> Drawing:
        """Inputs, reconstructions and the guess; a table where inputs are no images."""
        panels = pictures(self.reconstructions, dict(self.who))
        return Drawing(f"What the smashed data of {self.label} gives away", panels, HOW_TO_READ, table=self.words(),
                       numbers=self.table)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pictures as plain values, for JSON."""
        made: dict[str, Any] = plain({"run": self.label, "leakage": self.table.to_dict("records")})
        return made


def leakage(
    run: str | Path | Results | Scenario,
    *,
    journal: str | Path | None = None,
    train: bool = False,
    force: bool = False,
    observer: Observer | None = None,
    **settings: Any,
) -> Leakage:
    """Attacks the smashed data that the clients of a run would send with their trained models.

    Args:
        run: a run directory, whose journal gives the models, and which gets the tables `leakage` and `reconstructions`;
            a file of models that `run --save` wrote; results that hold models; or a scenario (its file, its name or
            itself), which is trained first.
        journal: of the run's training; that of its directory, or of its study, unless given.
        train: train it again where there is no journal.
        force: replace what was found in a run directory with other settings.
        observer: called after every round.
        settings: of `evaluation.leakage`: samples, auxiliary, auxiliary_from, epochs, clients. Those of the scenario
            unless given.

    Raises:
        ResultsError: if there is no run or no model, or the directory holds what was found with other settings.
        ScenarioError: if the scenario cannot be run, or a setting is none.
    """
    if isinstance(run, Results):
        if run.models is None:
            raise ResultsError(
                f"{run.label} holds no trained models; give its run directory, or simulate(..., models=True)"
            )
        scenario = _asked(_scenario(run.scenario_yaml, run.label), settings)
        return _of_models(run.label, scenario, run.models)
    if isinstance(run, Scenario):
        return _trained(_asked(run, settings), journal, observer)
    path = Path(run)
    if path.suffix == ".safetensors":
        from gapslsim.learning.saved import SavedModels

        saved = SavedModels(path)
        return _of_models(path.stem, _asked(_scenario(saved.scenario_yaml, str(path)), settings), saved)
    if not path.is_dir():
        return _trained(_asked(load(run, deep=True), settings), journal, observer)
    stored = StoredRun(path)
    if not stored.table("leakage").empty and not settings and not force:
        return _found(stored.results(), was_there=True)
    if not force and not stored.table("leakage").empty:
        raise ResultsError(
            f"{path} holds what was found already; 'gapslsim leakage {path}' shows it, --force looks again"
        )
    results = stored.results()
    if results.summary["dry"] or results.summary["status"] != "completed":
        why = "was a dry run, which trains nothing" if results.summary["dry"] else "did not complete"
        raise ResultsError(f"{path} {why}; run it again, without --dry and to its end")
    records = Path(journal) if journal is not None else _journal_of(path)
    if records is None and not train:
        raise ResultsError(
            f"{path} has no journal, so that its models are not kept; train it again with --train, or give the file "
            "that 'gapslsim run --save' wrote, or the journal with --journal"
        )
    found = _trained(_asked(_scenario(results.scenario_yaml, str(path)), settings), records, observer)
    found = dataclasses.replace(found, label=results.label)
    write_tables(path, {"leakage": found.table, "reconstructions": found.reconstructions})
    return found


def _scenario(text: str, of: str) -> Scenario:
    try:
        return loads(text, file=f"scenario of {of}")
    except GapslsimError as error:
        raise ResultsError(f"the scenario of {of} cannot be read here: {error}") from error


def _asked(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    """The scenario with settings of the attack.

    Raises:
        ScenarioError: if one of them is none.
    """
    was = scenario.evaluation.leakage or Attack()
    changed = {name: value for name, value in settings.items() if value is not None}
    try:
        attack = TypeAdapter(Attack).validate_python(
            {f.name: getattr(was, f.name) for f in dataclasses.fields(was)} | changed
        )
    except ValidationError as error:
        problems = [
            Problem(
                ".".join(map(str, ("evaluation.leakage", *e["loc"]))),
                f"{e['msg']} (found {e['input']!r:.60})",
            )
            for e in error.errors()
        ]
        raise ScenarioError(problems) from error
    evaluation = dataclasses.replace(scenario.evaluation, leakage=attack)
    scenario = dataclasses.replace(scenario, evaluation=evaluation, uncertainty=None)
    if unfit := check_leakage(scenario):
        raise ScenarioError([Problem(dotted(where), text) for where, text in unfit])
    return scenario


def _journal_of(run: Path) -> Path | None:
    """The journal of a run directory, or of the study that it is part of; None if there is none."""
    places = [run / JOURNAL]
    if run.resolve().parent.name == RUNS:
        places.append(run.resolve().parent.parent / JOURNAL)
    return next((place for place in places if (place / MARKER).is_file()), None)


def _trained(scenario: Scenario, journal: str | Path | None, observer: Observer | None) -> Leakage:
    results = whole_run(scenario, journal=journal, observer=observer)
    if results.table("leakage").frame().empty:
        raise ResultsError(f"{results.label} {results.summary['status']}: there are no models to attack")
    return _found(results)


def _found(results: Results, was_there: bool = False) -> Leakage:
    return Leakage(
        results.label, results.leakage, results.reconstructions, who_of(results.clients), was_there
    )


def _of_models(label: str, scenario: Scenario, models: Any) -> Leakage:
    """Of models that are there, so that nothing is simulated."""
    from gapslsim.assembly import learning_setup
    from gapslsim.attacks.of_training import leaks_of_training
    from gapslsim.learning.saved import SavedModels
    from gapslsim.numerics import computing
    from gapslsim.torch_device import choose_device

    setup, _ = learning_setup(scenario)
    if isinstance(models, SavedModels):
        models = models.client_sides(setup.model, setup.data.input_shape, setup.data.n_classes)
    attack, training = scenario.evaluation.leakage, scenario.training
    assert attack is not None
    device = choose_device(training.device)
    with computing(device, training.precision, training.deterministic):
        leaks = leaks_of_training(models, setup, attack, scenario.first_of_groups, device)
    groups = zip(scenario.group_names, scenario.clients, strict=True)
    names = [name for name, group in groups for _ in range(group.count)]
    who = {-1: "mean of all", **{client: f"client-{client} ({name})" for client, name in enumerate(names)}}
    tables = frame(TABLES["leakage"], leaks.rows), frame(TABLES["reconstructions"], leaks.pixels)
    return Leakage(label, *tables, who)
