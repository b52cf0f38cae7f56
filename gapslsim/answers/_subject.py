"""What is asked about: a run directory, or a scenario that is simulated first, without tensors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gapslsim.errors import GapslsimError, ResultsError
from gapslsim.results.place import JOURNAL
from gapslsim.results.results import Results
from gapslsim.results.store import StoredRun
from gapslsim.scenario.limits import Stop
from gapslsim.scenario.loading import load, loads
from gapslsim.scenario.schema import Scenario
from gapslsim.whole_run import whole_run

if TYPE_CHECKING:
    from gapslsim.assembly import Parts

__all__ = ["Subject", "subject_of"]


@dataclass(frozen=True)
class Subject:
    """A run with the scenario that it came from."""

    results: Results
    scenario: Scenario
    journal: Path | None = None
    """Where its training is recorded; None if it is not."""

    @cached_property
    def parts(self) -> Parts:
        """The set-up of its training, for re-timing."""
        from gapslsim.assembly import assemble  # Which imports torch: kernels must be chosen before.

        return assemble(self.of_its_length, dry=True)

    @property
    def of_its_length(self) -> Scenario:
        """The scenario, ending after as many rounds as the run had where it does not say how many."""
        if self.scenario.stop.is_planned:
            return self.scenario
        return dataclasses.replace(self.scenario, stop=Stop(rounds=len(self.results.rounds)))


def subject_of(asked: str | Path | Results) -> Subject:
    """What is meant by a run directory, a scenario's file or name, or results.

    Raises:
        ResultsError: if it is no run and no scenario, or has no round.
        ScenarioError: if the scenario cannot be run.
    """
    journal = None
    if isinstance(asked, Results):
        results = asked
    elif Path(asked).is_dir():
        results = StoredRun(asked).results()
        journal = Path(asked) / JOURNAL
    else:
        scenario = load(asked, deep=True, dry=True)
        return _with_rounds(
            Subject(whole_run(dataclasses.replace(scenario, uncertainty=None), dry=True), scenario)
        )
    try:
        scenario = loads(results.scenario_yaml, file=f"scenario of {results.label}")
    except GapslsimError as error:
        raise ResultsError(f"the scenario of {results.label} cannot be read here: {error}") from error
    return _with_rounds(Subject(results, scenario, journal if journal and journal.is_dir() else None))


def _with_rounds(subject: Subject) -> Subject:
    if subject.results.rounds.empty:
        raise ResultsError(f"{subject.results.label} has no round; let it run for one round or more")
    return subject
