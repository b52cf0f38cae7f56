"""A board: which series is best within equal budgets, cheapest to a target, and least harmed by skewed data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, ClassVar, Final, Literal

import pandas as pd
from pydantic import BeforeValidator, Field

from gapslsim.errors import ResultsError, unknown
from gapslsim.registry import component
from gapslsim.results import words
from gapslsim.results._board import COUNTED, BoardAxes, BoardNumbers, Budgets, board_numbers
from gapslsim.results.board_tables import in_order, panel_table, robustness_table, standings_table
from gapslsim.results.drawing.drawing import Drawing, Mark, Panel, Part, Row, Scale, Span, points_of
from gapslsim.results.standings import holm_survivors
from gapslsim.results.study_figure import AxisNames, StudyFigure, figures, several, words_on_runs
from gapslsim.results.study_tables import StudyTables, place_name
from gapslsim.units import Quantity

__all__ = ["Board", "Budget"]

_OneAxis = Annotated[
    tuple[str, ...],
    Field(max_length=1),
    # Behind the bound, which would be one of letters for a lone name.
    BeforeValidator(several, json_schema_input_type=str | tuple[str]),
]


@component
class Budget:
    """What each series may spend: a share of what one of them spends in its whole runs, or so much of everything."""

    of: str | None = None
    """Series whose whole runs (mean over seeds, same panel) are the measure; the first of the study unless given."""
    share: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Of what that series spends."""
    time: Annotated[float, Quantity("s", positive=True)] | None = None
    """Simulated time, in place of a share; then bytes and energy are given too."""
    bytes: Annotated[float, Quantity("B", positive=True)] | None = None
    """Traffic both ways."""
    energy: Annotated[float, Quantity("J", positive=True)] | None = None
    """Of clients, and of servers while they work."""

    @property
    def fixed(self) -> dict[str, float]:
        """Those that are given as so much, by what is counted."""
        return {what: value for what in COUNTED if (value := getattr(self, what)) is not None}


@figures.register
@component
class Board(StudyFigure):
    """All series side by side: accuracy within equal budgets of time, bytes and energy, cost to a target, robustness.

    Within each panel (a fleet with a partition) series are ranked by each of these. One is better than another for sure
    where the 95 % interval of their paired difference (Student's t over seeds) excludes 0; a place has the best and the
    worst one that this leaves open, and a series is first alone only if it is better for sure than every other. A
    run that ends before its budget is a lower bound, and one that never reaches the target is behind all that do.
    """

    PLACES: ClassVar = ("series", "fleet", "partition", "panel")
    kind: Literal["board"] = "board"
    target: Annotated[float, Field(gt=0, le=1)]
    """Accuracy whose cost in time, bytes and energy is told, as a share."""
    budget: Budget = Field(default_factory=Budget)
    """What each series may spend."""
    series: AxisNames | None = None
    """Axes whose values are ranked; those that change the framework unless given."""
    fleet: _OneAxis = ()
    """Axis of the fleets on which places are compared."""
    partition: _OneAxis = ()
    """Axis of the partitions, for what is lost from even to skewed data."""
    even: str | None = None
    """Value of `partition` from which accuracy is lost; the first unless given."""
    skewed: str | None = None
    """Value of `partition` at which it is lost; the last unless given."""
    panel: AxisNames | None = None
    """Further axes that make panels of their own; those that are left over unless given."""

    def problems(self, axes: Mapping[str, Sequence[str]], views: Collection[str]) -> dict[str, str]:
        """Besides, budgets that are not whole, and values and series that the study does not have."""
        found = super().problems(axes, views)
        if self.series is not None and not self.series:
            found.setdefault("series", "nothing is ranked; name the axis of the methods.")
        for name in self.series or ():
            if name in axes and len(axes[name]) < 2:
                found.setdefault("series", f"the axis {name!r} has one value; a board needs at least two.")
        fixed = self.budget.fixed
        if fixed and len(fixed) < len(COUNTED):
            missing = words.listed(what for what in COUNTED if what not in fixed)
            found["budget"] = f"{missing} missing: write time, bytes and energy, or 'of' and 'share'."
        elif fixed and self.budget.of is not None:
            found["budget"] = "it is so much and a share of 'of' too; leave one of them out."
        elif (
            self.budget.of is not None
            and "series" not in found
            and self.budget.of not in (names := self._names(axes))
        ):
            found["budget"] = unknown("series in 'budget.of':", self.budget.of, names)
        values = axes.get(self.partition[0], ()) if self.partition else ()
        for setting in ("even", "skewed"):
            value = getattr(self, setting)
            if value is not None and not self.partition:
                found[setting] = "it is a value of 'partition', which is missing; name that axis."
            elif value is not None and values and value not in values:
                found[setting] = unknown(f"value of {self.partition[0]!r}", value, values)
        if self.partition and "partition" not in found and self._skew(values) is None:
            found["partition"] = f"the axis {self.partition[0]!r} has no two values to compare."
        return found

    def _names(self, axes: Mapping[str, Sequence[str]]) -> list[str]:
        """What series may be called."""
        if self.series is None:
            return [place_name({name: value}, [name]) for name, values in axes.items() for value in values]
        every = product(*(axes[name] for name in self.series))
        return [place_name(dict(zip(self.series, values, strict=True)), self.series) for values in every]

    def _skew(self, values: Sequence[str]) -> tuple[str, str] | None:
        """Even and skewed data; None where they are the same."""
        if not values:
            return None
        pair = self.even or values[0], self.skewed or values[-1]
        return None if pair[0] == pair[1] else pair

    def draw(self, study: StudyTables) -> Drawing:
        """Mean places over all panels above; each panel's numbers are folded.

        Raises:
            ResultsError: if there are no two series, runs were stopped early, or budgets have no measure.
        """
        record = study.record
        axes = BoardAxes(**self.lay_out(record))
        names = list(dict.fromkeys(place_name(cell.axes, axes.series) for cell in study.cells(axes.series)))
        if len(names) < 2:
            raise ResultsError(
                f"a board ranks at least two series, and {record.name} has no axis with two methods; "
                "name one in 'series' of the figure, or add an axis 'framework'"
            )
        fixed, of = self.budget.fixed, self.budget.of or names[0]
        skew = self._skew(record.axes[self.partition[0]]) if self.partition else None
        view = self.view_of(record)
        budgets = Budgets(fixed=fixed) if fixed else Budgets(of, self.budget.share)
        made = board_numbers(study, axes, view, budgets, self.target, skew)
        rows = made.rows
        if rows.empty:
            raise ResultsError(
                f"no series of {record.name} has all its seeds ({made.unranked[0]} lacks one); "
                "sweep again with --resume"
            )
        order, fleets = in_order(rows), [name for name in dict.fromkeys(rows["fleet"]) if name]
        within = "equal budgets" if fixed else f"{100 * self.budget.share:.4g} % of what {of} spends"
        panels = [
            _places(rows, order, "quality", f"Accuracy within {within}"),
            _places(rows, order, "cost", f"Cost to {words.percent(self.target)}"),
        ]
        if skew is not None:
            panels.append(_losses(rows, order, fleets, f"Accuracy lost from {skew[0]} to {skew[1]}"))
        lost = (
            ""
            if skew is None
            else f"Lost on skewed data: best accuracy at {skew[0]} less that at {skew[1]}. "
        )
        return Drawing(
            title=self.heading(record),
            question=record.question,
            caption=[
                *_told(made, len(record.seeds), view, f"{within} in its whole runs" if not fixed else within),
                *words_on_runs(study, study.cells((*axes.around, *axes.series)))[1:],
            ],
            panels=panels,
            series=[*COUNTED, *(fleets or [""])],
            table=standings_table(rows),
            numbers=study.typed(_expanded(rows)),
            more=[
                Drawing(
                    "Robustness: skewed data, seeds, fleets",
                    caption=[lost + _ROBUST],
                    table=robustness_table(rows),
                ),
                *(_of_panel(str(where), own) for where, own in rows.groupby("where", sort=False)),
            ],
        )


_ROBUST: Final = (
    "Between seeds: sample standard deviation of the best accuracy, mean and most of all panels. Places on a fleet are "
    "means over its panels, by accuracy within the time budget."
)


def _told(made: BoardNumbers, n_seeds: int, view: str, within: str) -> Iterator[str]:
    rows, rankings = made.rows, made.rankings
    yield (
        f"Mean places among {rows['series'].nunique()} over {rows['where'].nunique()} panels, in brackets those of the "
        "best and the worst panel; sorted by accuracy within the time budget."
    )
    yield f"Accuracies in the {view} view; the best by then counts. Budgets are the same for all of a panel: {within}."
    if n_seeds > 1:
        yield (
            "Alone first: the 95 % interval of the paired difference to each other one excludes 0 (Student's t over "
            f"{n_seeds} seeds, pair by pair). Tied: not that, and not worse for sure than the one in front."
        )
        lone = sum(any(standing.is_alone for standing in ranking) for ranking in rankings)
        yield (
            f"{lone} of {len(rankings)} rankings have one alone; {holm_survivors(rankings)} with Holm's correction for "
            "every pair with one in front."
        )
    else:
        yield "One seed decides nothing: all are tied."
    yield (
        "In the panels, places in brackets are those that seeds leave open. A number with ≥ ended before its budget: "
        "more rounds might give more. Costs are counted to the first evaluation at or above the target; intervals "
        "allow for the time since the one before."
    )
    if made.unranked:
        more = f" and {len(made.unranked) - 5} more" if len(made.unranked) > 5 else ""
        yield f"Without a place, as seeds are missing: {'; '.join(made.unranked[:5])}{more}."


def _expanded(rows: pd.DataFrame) -> pd.DataFrame:
    """With a column for each axis of the study in place of the board's own names."""
    axes = pd.DataFrame(rows["axes"].tolist(), index=rows.index)
    return axes.join(rows.drop(columns=["series", "fleet", "partition", "where", "axes"]))


def _shifts(n: int) -> list[float]:
    """Of marks within a row."""
    return [(number - (n - 1) / 2) * 0.7 / n for number in range(n)]


def _places(rows: pd.DataFrame, order: Sequence[str], question: str, title: str) -> Panel:
    """Mean place of each series over all panels, with the best and the worst."""
    own = rows[rows["question"] == question]
    parts: list[Part] = []
    for number, (what, shift) in enumerate(zip(COUNTED, _shifts(len(COUNTED)), strict=True)):
        by_series = own[own["counted"] == what].groupby("series")["place"]
        for name, places in by_series:
            at = order.index(str(name)) + shift
            parts += [
                Span((float(places.min()), float(places.max())), (at, at), number),
                Mark(float(places.mean()), at, number),
            ]
    scale = Scale("mean place (1 is best)", 0.5, len(order) + 0.5)
    return Panel(title, scale, Scale(), parts, [Row(name) for name in order], row_height=34.0)


def _losses(rows: pd.DataFrame, order: Sequence[str], fleets: Sequence[str], title: str) -> Panel:
    own = rows[rows["question"] == "loss"]
    shown = (own[["mean", "low", "high"]] * 100).assign(
        x=own["series"].map(order.index), fleet=own["fleet"], reached=True
    )
    parts: list[Part] = []
    for number, (fleet, shift) in enumerate(zip(fleets or [""], _shifts(max(1, len(fleets))), strict=True)):
        points = shown[shown["fleet"] == fleet].sort_values("x")
        parts += points_of(points, len(COUNTED) + number, in_rows=True, shift=shift)
    scale = Scale.over(shown[["low", "high"]].to_numpy().ravel(), "points lost", zero=True)
    return Panel(title, scale, Scale(), parts, [Row(name) for name in order], row_height=34.0)


def _of_panel(where: str, rows: pd.DataFrame) -> Drawing:
    """Accuracies within the budgets, and all numbers."""
    order, own = in_order(rows), rows[rows["question"] == "quality"]
    shown = (own[["mean", "low", "high"]] * 100).assign(
        x=own["series"].map(order.index), counted=own["counted"], reached=own["n_reached"] == own["n_seeds"]
    )
    parts: list[Part] = []
    for number, (what, shift) in enumerate(zip(COUNTED, _shifts(len(COUNTED)), strict=True)):
        parts += points_of(shown[shown["counted"] == what], number, in_rows=True, shift=shift)
    scale = Scale.over(
        shown[["low", "high"]].to_numpy().ravel(), "accuracy within each budget [%]", beyond=True
    )
    panel = Panel("", scale, Scale(), parts, [Row(name) for name in order], row_height=34.0)
    return Drawing(where or "Every series", [panel], table=panel_table(rows), series=[*COUNTED])
