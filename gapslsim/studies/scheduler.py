"""How a study stops runs early: step by step all settings that are left go on, and after each some are given up.

Steps wait for all: what is decided follows from results alone, not from which machine was faster, so a study that is
resumed decides the same.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from gapslsim.registry import Family, component
from gapslsim.results.measure import Measure, OverSeeds, measures, over_seeds
from gapslsim.results.study_figure import AxisNames
from gapslsim.results.study_tables import StudyRun, place_name
from gapslsim.scenario.limits import Every, Stop

__all__ = ["AnyMeasure", "Rung", "Scheduler", "Setting", "Step", "schedulers"]

AnyMeasure = Annotated[Measure, measures]


def _in_tables(every: Every) -> Every:
    if every.unit not in ("rounds", "epochs", "s"):
        raise ValueError(
            f"found '{every}'; count it in rounds, epochs or simulated time, for instance '5 epochs'"
        )
    return every


Rung = Annotated[Every, AfterValidator(_in_tables)]
"""How far runs go before they are looked at: `5 epochs`, `50 rounds` or `30 s` of simulated time."""


class Step(NamedTuple):
    """What is run before settings are looked at."""

    until: Every | None = None
    """How far; None for the end of each run."""
    n_seeds: int | None = None
    """With how many seeds, the first of the study; None for all."""

    @property
    def is_last(self) -> bool:
        """Whether nothing is left to decide behind it."""
        return self.until is None and self.n_seeds is None


@dataclass(frozen=True, eq=False)
class Setting:
    """One combination of the axes' values, as far as it was run."""

    axes: Mapping[str, str]
    runs: tuple[StudyRun, ...]
    """One per seed, cut where the step ends; those that failed are not there."""
    n_failed: int
    n_seeds: int
    """Of the study."""
    stop: Stop
    """Of its scenario."""

    @property
    def name(self) -> str:
        """Its values as people read them."""
        return place_name(dict(self.axes), list(self.axes)) or "the only setting"

    def measured(self, measure: Measure, view: str) -> OverSeeds:
        """A measure of all its runs together, up to here."""
        return over_seeds(measure, self.runs, view)

    def place(self, measure: Measure, view: str) -> tuple[float, ...]:
        """Less is better: failed seeds, seeds that did not get there, the mean; what has no number is last."""
        over = self.measured(measure, view)
        mean = -over.spread.mean if measure.greater_is_better else over.spread.mean
        return self.n_failed, over.spread.n - over.n_reached, math.inf if math.isnan(mean) else mean


@component
class Scheduler(ABC):
    """Settings of a way to stop runs early; a pydantic component."""

    kind: str
    """Name in study files; each fixes its own."""
    within: AxisNames = ()
    """Axes whose values do not compete: with `within: network`, each network has its own best."""

    @abstractmethod
    def step(self, number: int, n_going: int) -> Step:
        """What is run next.

        Args:
            number: how many steps there were.
            n_going: settings that still compete with one another.
        """

    @abstractmethod
    def verdicts(self, settings: Sequence[Setting], step: Step, view: str) -> Mapping[int, str]:
        """Which settings are given up, by place, and why, in words.

        Args:
            settings: that compete with one another.
            step: what they were run for.
            view: in which accuracies are judged.
        """

    @abstractmethod
    def least(self, n: int) -> int:
        """How few of so many settings that compete can be left after a step."""

    def problems(self, stop: Stop, n_seeds: int) -> Mapping[str, str]:
        """What does not fit the end of a scenario or the number of seeds, by setting."""
        return {}


schedulers: Family[Scheduler] = Family("scheduler", "gapslsim.studies.schedulers")
