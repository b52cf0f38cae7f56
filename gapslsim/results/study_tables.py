"""The tables of a study as its figures read them: runs with their place on the axes, and what each run measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Final

import pandas as pd
from pandas.api.types import is_numeric_dtype

from gapslsim.errors import ResultsError
from gapslsim.results.axis_values import axis_values, is_number
from gapslsim.results.frames import TABLES, frame
from gapslsim.results.store import read_table
from gapslsim.results.study import RunRecord, StudyRecord, read_study
from gapslsim.results.summary import accuracy_curve
from gapslsim.tables.table import columns_of

__all__ = ["Cell", "StudyRun", "StudyTables", "has_tables", "place_name", "read_tables"]

_KEYS: Final = ("seed", "round", "time_s", "view", "client", "accuracy")
"""Columns of `evaluations` that are no mean over clients, or known already."""


_LATER: Final = ("uncertainty", "leakage")
"""Tables that studies swept by earlier versions do not have."""


@dataclass(frozen=True, eq=False)
class StudyRun:
    """One completed run: its rows of the study's tables."""

    record: RunRecord
    evaluations: pd.DataFrame
    rounds: pd.DataFrame
    alignment: pd.DataFrame
    uncertainty: pd.DataFrame = field(default_factory=lambda: frame(TABLES["uncertainty"], ()))
    leakage: pd.DataFrame = field(default_factory=lambda: frame(TABLES["leakage"], ()))

    def curve(self, view: str) -> pd.DataFrame:
        """One row per evaluation of a view: round, time_s, accuracy, loss, metrics (means over clients), min, max.

        Raises:
            ResultsError: if the view was not evaluated.
        """
        of_view = self.evaluations[self.evaluations["view"] == view]
        if of_view.empty:
            known = ", ".join(self.evaluations["view"].unique()) or "none: the run was dry"
            raise ResultsError(
                f"{self.record.label} has no evaluation in the view {view!r}; it has: {known}. "
                "Change 'view' of the figure, or 'evaluation.views' of the scenario and sweep again"
            )
        of_view = of_view[of_view["accuracy"].notna()]
        if of_view.empty:
            raise ResultsError(
                f"{self.record.label} has no accuracy in the view {view!r}: its test set has nothing to judge by. "
                "Give the data set test samples of the classes that the clients train on"
            )
        names = [name for name in of_view.columns if name not in _KEYS and is_numeric_dtype(of_view[name])]
        means = of_view.groupby(["round", "time_s"], sort=True)[names].mean()
        return accuracy_curve(self.evaluations, view).assign(
            **{name: means[name].to_numpy() for name in names}
        )


@dataclass(frozen=True, eq=False)
class Cell:
    """Completed runs that differ in the seed alone, or in axes that were not asked for."""

    axes: dict[str, str]
    """Value on each axis that was asked for."""
    runs: tuple[StudyRun, ...]

    def keyed(self, table: pd.DataFrame, **keys: str) -> pd.DataFrame:
        """A table of this cell with columns for its axes, further keys and the number of seeds in front."""
        front = pd.DataFrame([{**self.axes, **keys, "n_seeds": len(self.runs)}] * len(table))
        return pd.concat([front, table.reset_index(drop=True)], axis=1)


@dataclass(frozen=True, eq=False)
class StudyTables:
    """A study with its tables."""

    record: StudyRecord
    folder: Path

    @cached_property
    def runs(self) -> tuple[StudyRun, ...]:
        """Runs in the order of the study that completed, or were stopped by the study: see `RunRecord.is_stopped`."""
        tables = {name: self.table(name) for name in ("evaluations", "rounds", "alignment", *_LATER)}
        by_run = {name: dict(iter(table.groupby("run", sort=False))) for name, table in tables.items()}
        return tuple(
            StudyRun(run, **{name: by_run[name].get(run.label, tables[name].iloc[:0]) for name in tables})
            for run in self.record.runs
            if run.status == "completed" or run.is_stopped
        )

    @property
    def missing(self) -> list[RunRecord]:
        """Runs without a result."""
        return [run for run in self.record.runs if not run.has_ended]

    def cells(self, axes: Sequence[str]) -> list[Cell]:
        """Every combination of values of some axes, in the order of the study, with its completed runs."""
        planned = {tuple(run.axes[axis] for axis in axes) for run in self.record.runs}
        return [
            Cell(
                (place := dict(zip(axes, values, strict=True))),
                tuple(run for run in self.runs if place.items() <= run.record.axes.items()),
            )
            for values in product(*(self.record.axes[axis] for axis in axes))
            if values in planned  # A search tries no more than some.
        ]

    def typed(self, numbers: pd.DataFrame) -> pd.DataFrame:
        """With columns of axes as they are in the tables: numbers as numbers."""
        axes = {name: axis_values(values) for name, values in self.record.axes.items() if name in numbers}
        return numbers.assign(**{name: axis.column(numbers[name].tolist()) for name, axis in axes.items()})

    def table(self, name: str) -> pd.DataFrame:
        """A whole table: `runs`, or a table of the runs with the columns run, axes and seed in front.

        Raises:
            ResultsError: if it cannot be read, or lacks a column.
        """
        keys = {"run": str, **dict.fromkeys(self.record.axes, object), "seed": int}
        own = columns_of(TABLES[name]) if name in TABLES else {}
        # Without a completed run there are no columns either.
        columns = keys | own if len(self.missing) < len(self.record.runs) else {}
        fix = "run 'gapslsim sweep' again with --resume"
        if name in _LATER and not (self.folder / f"{name}.parquet").exists():
            return frame(TABLES[name], ()).assign(run=pd.Series(dtype=str))
        return read_table(self.folder / f"{name}.parquet", columns, fix)


def has_tables(folder: Path) -> bool:
    """Whether the study's tables have been gathered: they are when a sweep ends."""
    return (folder / "runs.parquet").is_file()


def read_tables(folder: str | Path) -> StudyTables:
    """A study's directory.

    Raises:
        ResultsError: if it holds no study, or no tables yet.
    """
    directory = Path(folder)
    record = read_study(directory)
    if not has_tables(directory):
        raise ResultsError(
            f"{directory} has no tables yet: they are gathered when the sweep ends. Wait for it, or run "
            "'gapslsim sweep' again with --resume"
        )
    return StudyTables(record, directory)


def place_name(axes: dict[str, str], which: Sequence[str]) -> str:
    """Values of some axes as a heading: `IID, count 20`; a bare number is told with its axis."""
    return ", ".join(f"{axis} {axes[axis]}" if is_number(axes[axis]) else axes[axis] for axis in which)
