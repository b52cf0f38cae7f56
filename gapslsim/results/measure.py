"""A measure: one number per run, for tables and figures over runs; a lower bound where a run ended too early."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field

from gapslsim.registry import Family, component
from gapslsim.results import words
from gapslsim.results._spent import SPENT, Spent, Unit
from gapslsim.results.likely import Array, draws_of, interval
from gapslsim.results.statistics import Spread, spread
from gapslsim.results.study_tables import Cell, StudyRun

__all__ = [
    "NUMBERS", "Measure", "MeasureList", "OverSeeds", "SpendingMeasure", "Value", "measure_row", "measures",
    "over_seeds",
]  # fmt: skip


class Value(NamedTuple):
    """Of one run."""

    number: float
    reached: bool = True
    """False if the run ended before; then the number is a lower bound."""
    after: float | None = None
    """Where something was found at an evaluation: at the one before, since when it may have been so."""


@component
class Measure(ABC):
    """Settings of a measure; a pydantic component."""

    greater_is_better: ClassVar[bool] = True
    """Whether the setting with the most of it is the best."""
    kind: str
    """Name in study files; each measure fixes its own."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What is measured, without unit."""

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """How the number is stored and shown."""

    @abstractmethod
    def of_run(self, run: StudyRun, view: str) -> Value:
        """The number of one run.

        Args:
            run: completed.
            view: in which accuracies are judged.
        """

    def of_stopped(self, run: StudyRun, view: str) -> Value:
        """What a run that its study stopped early tells of the whole run; NaN for nothing."""
        return Value(math.nan, reached=False)

    def of_draws(self, run: StudyRun, value: Value) -> Array:
        """The number in every draw of what devices leave open; empty if it does not depend on it, or nothing was drawn.

        Args:
            run: completed.
            value: what `of_run` says.
        """
        return np.zeros(0)

    @property
    def label(self) -> str:
        """Name and unit, for an axis."""
        return self.unit.label(self.name)


@component
class SpendingMeasure(Measure):
    """A measure that counts what a run spends."""

    greater_is_better: ClassVar[bool] = False
    spent: Spent = "time"
    """What is counted: epochs, rounds, simulated time, bytes or energy."""

    @property
    def unit(self) -> Unit:
        """Of what is counted."""
        return SPENT[self.spent].unit

    def of_stopped(self, run: StudyRun, view: str) -> Value:
        """A lower bound: the whole run spends more."""
        return Value(self.of_run(run, view).number, reached=False)

    def of_draws(self, run: StudyRun, value: Value) -> Array:
        """Time and energy in proportion to those of the whole run."""
        quantity = {"time": "simulated_time_s", "energy": "energy_j"}.get(self.spent, "")
        drawn = draws_of(run.uncertainty, quantity)
        if not len(drawn):
            return drawn
        # The run's energy has idle servers in it, the measure has not: only how far it spreads is taken from it.
        told = run.rounds["end_s"].iloc[-1] if self.spent == "time" else np.nanmedian(drawn)
        scaled: Array = value.number * drawn / told
        return scaled


measures: Family[Measure] = Family("measure", "gapslsim.results.measures")


def _several(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


_One = Annotated[Measure, measures]
MeasureList = Annotated[
    tuple[_One, ...],
    Field(min_length=1),
    BeforeValidator(_several, json_schema_input_type=_One | tuple[_One, ...]),
]
"""One measure or several."""


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A measure over the runs of one cell."""

    spread: Spread
    """Of all runs; lower bounds count as they are."""
    n_reached: int
    likely: dict[str, float | None] | None = None
    """Nine of ten draws of the mean lie between its `low` and `high`; None if nothing was drawn."""

    n_stopped: int = 0
    """Runs that the study stopped early."""

    @property
    def reached(self) -> bool:
        """Whether every run reached it; else the mean is a lower bound."""
        return self.n_reached == self.spread.n

    def words(self, factor: float) -> str:
        """`48.3 ± 1.2`; `4.1 .. 4.7` between two evaluations; `≥ 12.0 (1/3)`: one of three reached it."""
        if self.spread.n == 0:
            return "stopped" if self.n_stopped else "-"
        mean, after = self.spread.mean * factor, self.spread.after * factor
        digits = _decimals(mean)
        if not self.reached:
            return f"≥ {mean:.{digits}f} ({self.n_reached}/{self.spread.n})"
        text = f"{mean:.{digits}f}" if math.isnan(after) else f"{after:.{digits}f} .. {mean:.{digits}f}"
        text += f" ± {self.spread.deviation * factor:.{digits}f}" if self.spread.n > 1 else ""
        within = words.between(
            self.likely, lambda end: words.MISSING if end is None else f"{end * factor:.{digits}f}"
        )
        return f"{text} [{within}]" if within else text


def over_seeds(measure: Measure, runs: Sequence[StudyRun], view: str) -> OverSeeds:
    """A measure of every run, together; runs where it has no meaning (NaN) are left out.

    Where a run was stopped and says nothing of the whole run, there is no number: those that are left
    would be the better ones.
    """
    stopped = [run.record.is_stopped for run in runs]
    values = [
        measure.of_stopped(run, view) if early else measure.of_run(run, view)
        for run, early in zip(runs, stopped, strict=True)
    ]
    if any(early and math.isnan(value.number) for early, value in zip(stopped, values, strict=True)):
        return OverSeeds(spread([]), 0, n_stopped=sum(stopped))
    of_run = [(run, value) for run, value in zip(runs, values, strict=True) if math.isfinite(value.number)]
    known = [value for _, value in of_run]
    drawn = [measure.of_draws(run, value) for run, value in of_run]
    is_drawn = len({len(one) for one in drawn}) == 1 and len(drawn[0]) > 0
    likely = interval(np.mean(drawn, axis=0), 0.9) if is_drawn else None
    after = [value.after for value in known if value.reached and value.after is not None]
    found = spread([value.number for value in known], after if len(after) == len(known) else [])
    return OverSeeds(found, sum(value.reached for value in known), likely, sum(stopped))


class MeasureRow(NamedTuple):
    """A measure of one cell, in stored units."""

    measure: str
    unit: str
    n_seeds: int
    n_reached: int
    mean: float
    std: float
    low: float
    high: float
    ci95_half_width: float


NUMBERS: Final = frozenset(
    {
        *MeasureRow._fields,
        *SPENT,
        "mean_after",
        "n_stopped",
        "draws_low",
        "draws_median",
        "draws_high",
        "quantity",
        "accuracy",
        "loss",
        "round",
        # Of boards.
        "question",
        "counted",
        "level",
        "place",
        "best_place",
        "worst_place",
        "first",
    }
)
"""Columns of the numbers of figures beside their axes; curves may have a metric's besides."""


def measure_row(cell: Cell, measure: Measure, over: OverSeeds) -> dict[str, Any]:
    """A measure of a cell as a row of numbers in stored units."""
    spread = over.spread
    likely = {} if over.likely is None else {f"draws_{end}": value for end, value in over.likely.items()}
    ends = {} if math.isnan(spread.after) else {"mean_after": spread.after}
    if over.n_stopped:
        ends["n_stopped"] = over.n_stopped
    return {
        **cell.axes,
        **MeasureRow(
            measure.name, measure.unit.stored, spread.n, over.n_reached, spread.mean, spread.deviation,
            spread.low, spread.high, spread.half_width,
        )._asdict(),
        **ends,
        **likely,
    }  # fmt: skip


def _decimals(number: float) -> int:
    """One; as many as give three digits where the number is smaller than 1."""
    if number == 0 or abs(number) >= 1:
        return 1
    return min(12, 2 - math.floor(math.log10(abs(number))))
