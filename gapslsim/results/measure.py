"""A measure: one number per run, for tables and figures over runs; a lower bound where a run ended too early."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from gapslsim.registry import Family, component
from gapslsim.results._spent import SPENT, Spent, Unit
from gapslsim.results.statistics import Spread, spread
from gapslsim.results.study_tables import Cell, StudyRun

__all__ = [
    "Measure", "MeasureList", "OverSeeds", "SpendingMeasure", "Value", "measure_row", "measures", "over_seeds",
]  # fmt: skip


class Value(NamedTuple):
    """Of one run."""

    number: float
    reached: bool = True
    """False if the run ended before; then the number is a lower bound."""


@component
class Measure(ABC):
    """Settings of a measure; a pydantic component."""

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

    @property
    def label(self) -> str:
        """Name and unit, for an axis."""
        return self.unit.label(self.name)


@component
class SpendingMeasure(Measure):
    """A measure that counts what a run spends."""

    spent: Spent = "time"
    """What is counted: epochs, rounds, simulated time, bytes or energy."""

    @property
    def unit(self) -> Unit:
        """Of what is counted."""
        return SPENT[self.spent].unit


measures: Family[Measure] = Family("measure", "gapslsim.results.measures")


def _several(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


MeasureList = Annotated[
    tuple[Annotated[Measure, measures], ...], Field(min_length=1), BeforeValidator(_several)
]
"""One measure or several."""


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A measure over the runs of one cell."""

    spread: Spread
    """Of all runs; lower bounds count as they are."""
    n_reached: int

    @property
    def reached(self) -> bool:
        """Whether every run reached it; else the mean is a lower bound."""
        return self.n_reached == self.spread.n

    def words(self, factor: float) -> str:
        """`48.3 ± 1.2`, `≥ 12.0 (1/3)`: one of three reached it."""
        if self.spread.n == 0:
            return "-"
        mean, deviation = self.spread.mean * factor, self.spread.deviation * factor
        digits = _decimals(mean)
        if not self.reached:
            return f"≥ {mean:.{digits}f} ({self.n_reached}/{self.spread.n})"
        return f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if self.spread.n > 1 else "")


def over_seeds(measure: Measure, runs: Sequence[StudyRun], view: str) -> OverSeeds:
    """A measure of every run, together; runs where it has no meaning (NaN) are left out."""
    values = [measure.of_run(run, view) for run in runs]
    known = [value for value in values if math.isfinite(value.number)]
    return OverSeeds(spread([value.number for value in known]), sum(value.reached for value in known))


def measure_row(cell: Cell, measure: Measure, over: OverSeeds) -> dict[str, Any]:
    """A measure of a cell as a row of numbers in stored units."""
    spread = over.spread
    return {
        **cell.axes,
        "measure": measure.name,
        "unit": measure.unit.stored,
        "n_seeds": spread.n,
        "n_reached": over.n_reached,
        "mean": spread.mean,
        "std": spread.deviation,
        "low": spread.low,
        "high": spread.high,
        "ci95_half_width": spread.half_width,
    }


def _decimals(number: float) -> int:
    """One; as many as give three digits where the number is smaller than 1."""
    if number == 0 or abs(number) >= 1:
        return 1
    return min(12, 2 - math.floor(math.log10(abs(number))))
