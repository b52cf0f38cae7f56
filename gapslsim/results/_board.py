"""Numbers of a board: what each series reaches within equal budgets, what a target costs, what skewed data costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results._spent import SPENT, Spent, spent_by
from gapslsim.results.crossing import crossing
from gapslsim.results.measure import MeasureRow
from gapslsim.results.measures.total import Total
from gapslsim.results.significance import Ends
from gapslsim.results.standings import Entry, Standing, standings
from gapslsim.results.statistics import spread
from gapslsim.results.study_tables import Cell, StudyRun, StudyTables, place_name

__all__ = ["COUNTED", "PLACES", "BoardAxes", "BoardNumbers", "BoardRow", "Budgets", "board_numbers"]

Counted = Literal["time", "bytes", "energy"]
COUNTED: Final[tuple[Counted, ...]] = ("time", "bytes", "energy")
"""What budgets are of, and what a target costs."""


class BoardRow(NamedTuple):
    """What a row of a board's numbers holds beside its axes and those of `MeasureRow`."""

    question: str
    """`quality` within a budget, `cost` to the target, `whole run`: its best accuracy, `loss` on skewed data."""
    counted: str
    """Of which budget or cost; empty for the last two."""
    level: float
    """The budget, in stored units, or the target."""
    mean_after: float
    """Of costs: mean of what was spent by the last evaluation below the target."""
    place: int
    best_place: int
    worst_place: int
    first: str
    """`alone`, `tied` with others that seeds cannot tell apart, or empty."""


PLACES: Final = frozenset(BoardRow._fields)


@dataclass(frozen=True)
class BoardAxes:
    """Which axes of the study are what."""

    series: tuple[str, ...]
    fleet: tuple[str, ...]
    partition: tuple[str, ...]
    panel: tuple[str, ...]

    @property
    def around(self) -> tuple[str, ...]:
        """Those within whose values series are ranked."""
        return (*self.fleet, *self.partition, *self.panel)


@dataclass(frozen=True)
class Budgets:
    """What each series may spend: so much, or a share of what one of them spends in its whole runs."""

    of: str = ""
    share: float = 1.0
    fixed: Mapping[str, float] | None = None

    def at(self, where: str, reference: Sequence[_Run] | None) -> dict[str, float]:
        """Budgets in one panel, by what is counted, in stored units.

        Raises:
            ResultsError: if the series whose share they are has no runs there.
        """
        if self.fixed is not None:
            return dict(self.fixed)
        if not reference:
            raise ResultsError(
                f"the board's budgets are a share of what {self.of} spends, and it has no whole set of runs"
                f"{f' at {where}' if where else ''}; sweep again with --resume, or write another 'budget.of'"
            )
        return {
            what: self.share * math.fsum(run.total(what) for run in reference) / len(reference)
            for what in COUNTED
        }


@dataclass(frozen=True, eq=False)
class _Run:
    """One run with what it has spent by each evaluation."""

    run: StudyRun
    view: str

    @cached_property
    def curve(self) -> pd.DataFrame:
        return self.run.curve(self.view)

    @cached_property
    def accuracy(self) -> list[float]:
        return [float(number) for number in self.curve["accuracy"]]

    def spent(self, what: Spent) -> list[float]:
        return [float(number) for number in spent_by(self.curve, self.run.rounds, what)]

    def total(self, what: Spent) -> float:
        """Of the whole run."""
        return Total(spent=what).of_run(self.run, self.view).number

    def within(self, what: Spent, budget: float) -> tuple[float, bool]:
        """Best accuracy within a budget, NaN if it was not tested by then, and whether the run went on until there."""
        spent = self.spent(what)
        found = [acc for acc, at in zip(self.accuracy, spent, strict=True) if at <= budget * (1 + 1e-9)]
        return max(found, default=math.nan), spent[-1] >= budget * (1 - 1e-9)


@dataclass(frozen=True, eq=False)
class BoardNumbers:
    """The board as a table."""

    rows: pd.DataFrame
    """Columns series, fleet, partition, where (the panel's name); those of the axes; `MeasureRow`; `BoardRow`."""
    rankings: Sequence[Sequence[Standing]]
    unranked: Sequence[str]
    """Series that lack a seed, with their panel: they have no place there."""


def board_numbers(
    study: StudyTables,
    axes: BoardAxes,
    view: str,
    budgets: Budgets,
    target: float,
    skew: tuple[str, str] | None,
) -> BoardNumbers:
    """Everything that a board tells.

    Args:
        study: with its runs.
        axes: which are what.
        view: in which accuracies are judged.
        budgets: of time, bytes and energy, the same for all series of a panel.
        target: accuracy whose cost is told.
        skew: values of the partition between which accuracy is lost; None for no such comparison.

    Raises:
        ResultsError: if runs were stopped early, or budgets are a share of what is not there.
    """
    stopped = [run.record.label for run in study.runs if run.record.is_stopped]
    if stopped:
        raise ResultsError(
            f"a board needs whole runs, and {len(stopped)} were stopped early by the study ({stopped[0]} is one); "
            "take 'adaptive' out of its file and sweep again"
        )
    made = _Board(study, axes, view, budgets, target)
    for place in made.panels:
        made.rank_panel(place)
    if skew is not None:
        for rest in dict.fromkeys(tuple(made.without_partition(place).items()) for place in made.panels):
            made.rank_loss(dict(rest), skew)
    return BoardNumbers(pd.DataFrame(made.rows), made.rankings, made.unranked)


class _Board:
    """Numbers under way."""

    def __init__(
        self, study: StudyTables, axes: BoardAxes, view: str, budgets: Budgets, target: float
    ) -> None:
        self.axes, self.budgets, self.target = axes, budgets, target
        self.rows: list[dict[str, Any]] = []
        self.rankings: list[list[Standing]] = []
        self.unranked: list[str] = []
        seeds = sorted(study.record.seeds)
        self.runs: dict[tuple[str, ...], list[_Run]] = {}
        self.cells: list[Cell] = study.cells((*axes.around, *axes.series))
        for cell in self.cells:
            runs = sorted(cell.runs, key=lambda run: run.record.seed)
            if [run.record.seed for run in runs] == seeds:
                self.runs[tuple(cell.axes.values())] = [_Run(run, view) for run in runs]
            else:
                where = place_name(cell.axes, axes.around)
                self.unranked.append(", ".join(filter(None, [place_name(cell.axes, axes.series), where])))

    @property
    def panels(self) -> list[dict[str, str]]:
        """Values of the axes within which series are ranked, in the order of the study."""
        found = dict.fromkeys(tuple((a, cell.axes[a]) for a in self.axes.around) for cell in self.cells)
        return [dict(place) for place in found]

    def without_partition(self, place: Mapping[str, str]) -> dict[str, str]:
        return {axis: value for axis, value in place.items() if axis not in self.axes.partition}

    def _of(self, place: Mapping[str, str]) -> dict[str, tuple[Cell, list[_Run]]]:
        """Whole sets of runs in a panel, by series."""
        found = {}
        for cell in self.cells:
            if place.items() <= cell.axes.items() and (runs := self.runs.get(tuple(cell.axes.values()))):
                found[place_name(cell.axes, self.axes.series)] = cell, runs
        return found

    def rank_panel(self, place: Mapping[str, str]) -> None:
        """Quality within each budget, cost to the target, and the best of whole runs."""
        here = self._of(place)
        if not here:
            return
        where = place_name(dict(place), self.axes.around)
        levels = self.budgets.at(where, here[self.budgets.of][1] if self.budgets.of in here else None)
        for what in COUNTED:
            quality = {name: _quality(runs, what, levels[what]) for name, (_, runs) in here.items()}
            self._ranked(place, here, quality, "quality", what, levels[what], "1", less=False)
        for what in COUNTED:
            cost = {name: _cost(runs, what, self.target) for name, (_, runs) in here.items()}
            self._ranked(place, here, cost, "cost", what, self.target, SPENT[what].unit.stored, less=True)
        whole = {
            name: _found([max(run.accuracy) for run in runs], less=False) for name, (_, runs) in here.items()
        }
        self._ranked(place, here, whole, "whole run", "", math.nan, "1", less=False)

    def rank_loss(self, place: Mapping[str, str], skew: tuple[str, str]) -> None:
        """What the best accuracy of whole runs loses from one partition to the other, seed by seed."""
        (axis,) = self.axes.partition
        even, skewed = (self._of({**place, axis: value}) for value in skew)
        both = {name: skewed[name] for name in even if name in skewed}
        if both:
            lost = {
                name: _found(
                    [max(a.accuracy) - max(b.accuracy) for a, b in zip(even[name][1], runs, strict=True)],
                    less=True,
                )
                for name, (_, runs) in both.items()
            }
            self._ranked({**place, axis: skew[1]}, both, lost, "loss", "", math.nan, "1", less=True)

    def _ranked(
        self, place: Mapping[str, str], here: Mapping[str, tuple[Cell, list[_Run]]], found: Mapping[str, _Found],
        question: str, what: str, level: float, unit: str, *, less: bool,
    ) -> None:  # fmt: skip
        ranking = standings([one.entry for one in found.values()], less=less)
        self.rankings.append(ranking)
        named = {
            "quality": "best accuracy within the budget", "cost": f"spent to {100 * self.target:.4g} %",
            "whole run": "best accuracy", "loss": "accuracy lost",
        }  # fmt: skip
        around = {"fleet": self.axes.fleet, "partition": self.axes.partition, "where": self.axes.around}
        names = {which: place_name(dict(place), own) for which, own in around.items()}
        for (name, one), standing in zip(found.items(), ranking, strict=True):
            over = spread(one.values, one.after)
            # Where the front itself lacks a seed that got there, nobody is first.
            is_behind = question == "cost" and one.n_reached < len(one.entry.ends)
            first = (
                ""
                if is_behind
                else "alone"
                if standing.is_alone
                else "tied"
                if standing.is_among_first
                else ""
            )
            self.rows.append(
                {"series": name, **names, "axes": here[name][0].axes}
                | MeasureRow(
                    named[question], unit, len(one.entry.ends), one.n_reached, over.mean, over.deviation, over.low,
                    over.high, over.half_width,
                )._asdict()
                | BoardRow(
                    question, what, level, over.after, standing.place, standing.best_place, standing.worst_place,
                    first,
                )._asdict()
            )  # fmt: skip


class _Found(NamedTuple):
    """A number of each seed, and its place among others."""

    values: list[float]
    after: list[float]
    n_reached: int
    entry: Entry


def _found(values: list[float], *, less: bool) -> _Found:
    mean = math.fsum(values) / len(values)
    return _Found(
        values, [], len(values), Entry([(value, value) for value in values], (mean if less else -mean,))
    )


def _quality(runs: Sequence[_Run], what: Spent, budget: float) -> _Found:
    """Where a run ended before the budget, going on might have given more: it is a lower bound."""
    within = [run.within(what, budget) for run in runs]
    values = [value for value, _ in within]
    ends: list[Ends] = [
        (0.0, 1.0) if math.isnan(value) else (value, value if went_on else 1.0) for value, went_on in within
    ]
    known = not any(map(math.isnan, values))
    order = (0.0, -math.fsum(values) / len(values)) if known else (1.0, 0.0)
    return _Found(values, [], sum(went_on for _, went_on in within), Entry(ends, order))


def _cost(runs: Sequence[_Run], what: Spent, target: float) -> _Found:
    """Those of which every seed reached the target go before the others; of these, the more seeds the better."""
    values, after, ends = [], [], list[Ends]()
    for spent, run in ((run.spent(what), run) for run in runs):
        found = crossing(spent, run.accuracy, target)
        values.append(spent[-1] if found is None else found.by)
        after += [] if found is None else [found.after]
        ends.append((spent[-1], math.inf) if found is None else (found.after, found.by))
    missed = len(runs) - len(after)
    order = (float(missed), 0.0 if missed else math.fsum(values) / len(values))
    return _Found(values, [] if missed else after, len(after), Entry(ends, order))
