"""What a study file holds: a question, a base scenario, axes, seeds, targets and a figure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from gapslsim.registry import component
from gapslsim.results.study_figure import StudyFigure, figures
from gapslsim.scenario.limits import Accuracy, PositiveSeconds, View
from gapslsim.studies.scheduler import Scheduler, schedulers
from gapslsim.studies.search import Search, searches

__all__ = ["Study"]

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Values = Annotated[list[Any], Field(min_length=1)]


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds holds a seed twice (found {list(seeds)}); write each once")
    return seeds


@component
class Axes:
    """What is varied. All axes are crossed with one another and with the seeds.

    A value may be anything that the scenario takes at its path: a number, a whole component, a list.
    A path may go through lists: `clients.0.count`, or `clients.*.link` for every item.
    """

    grid: dict[str, Values | dict[str, Any]] = Field(default_factory=dict)
    """Path to its values: a list, or a mapping from a name to a value. Each path is an axis."""
    zip: dict[str, dict[str, Values]] = Field(default_factory=dict)
    """Name of an axis to paths whose lists go together, first with first, second with second."""
    variants: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    """Name of an axis to its named variants, each a mapping from paths to values."""


@component
class Targets:
    """What the runs are judged by."""

    accuracy: tuple[Accuracy, ...] = ()
    """Accuracies in (0, 1] whose time is reported; those of the base scenario unless given."""
    time: tuple[PositiveSeconds, ...] = ()
    """Budgets of simulated time at which the accuracy is reported."""
    view: View | None = None
    """View in which accuracies are judged; that of the base scenario unless given."""


@component
class Study:
    """Everything that determines a study."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What the study is called."""
    question: str = ""
    """What it shall answer; stands on top of the report."""
    base: str
    """The scenario that is varied: a file, relative to the study's, or the name of a shipped one."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changes for every run: dotted paths and values."""
    axes: Axes = Field(default_factory=Axes)
    """What is varied."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_distinct)] = (1,)
    """Every combination is run once with each."""
    targets: Targets = Field(default_factory=Targets)
    """What the runs are judged by."""
    search: Annotated[Search, searches] | None = None
    """Settings that are drawn instead of listed; crossed with the axes and the seeds."""
    adaptive: Annotated[Scheduler, schedulers] | None = None
    """How runs that cannot matter are stopped early; unless given, every run goes to its end."""
    figure: Annotated[StudyFigure, figures] | None = None
    """How the study's own figure or table is drawn."""
