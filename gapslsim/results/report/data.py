"""What a page is made of: runs with their place in the comparison, from run and study directories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results import words
from gapslsim.results.store import StoredRun
from gapslsim.results.study import RUNS, StudyRecord, is_study, read_study
from gapslsim.results.summary import accuracy_curve

__all__ = ["Group", "Run", "RunSet", "gather"]


@dataclass(frozen=True, eq=False)
class Run:
    """One run and its place: which line of which panel."""

    series: str
    panel: str
    seed: int
    stored: StoredRun = field(repr=False)

    @property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds."""
        return self.stored.summary

    def table(self, name: str) -> pd.DataFrame:
        """One of its tables, read when first asked for."""
        return self.stored.table(name)

    def curve(self, view: str) -> pd.DataFrame:
        """Accuracy of a view over time, see `accuracy_curve`."""
        return accuracy_curve(self.table("evaluations"), view)


@dataclass(frozen=True)
class Group:
    """Runs that differ in the seed alone."""

    series: str
    panel: str
    runs: tuple[Run, ...]

    def accuracies(self, view: str, which: str = "last") -> list[float]:
        """Of each seed that has the view, and a number in it."""
        found = (run.summary["accuracy"].get(view, {}).get(which) for run in self.runs)
        return [float(number) for number in found if number is not None]

    def numbers(self, *path: str) -> list[float]:
        """An entry of each seed's summary."""
        summaries: list[Any] = [run.summary for run in self.runs]
        return [float(reduce(getitem, path, summary)) for summary in summaries]


@dataclass(frozen=True)
class RunSet:
    """All runs of a page."""

    title: str
    question: str
    paths: tuple[Path, ...]
    studies: tuple[StudyRecord, ...]
    runs: tuple[Run, ...]
    missing: tuple[tuple[str, str], ...]
    """Runs without results: label and what is wrong."""
    stopped: tuple[tuple[str, str], ...]
    """Runs that an adaptive study stopped early or spared, and other seeds of such settings: label and why. They are in
    no mean: what they would have come to is not known."""
    targets: tuple[float, ...]
    budgets_s: tuple[float, ...]
    view: str

    @cached_property
    def series(self) -> list[str]:
        """Names of lines in order; the place is the series' number, which gives colour, dash and mark."""
        return list(dict.fromkeys(run.series for run in self.runs))

    @cached_property
    def panels(self) -> list[str]:
        """Names of panels in order; one empty name if there is one panel."""
        return list(dict.fromkeys(run.panel for run in self.runs))

    @cached_property
    def groups(self) -> list[Group]:
        """Runs by panel and series, in order."""
        every = (
            Group(series, panel, tuple(r for r in self.runs if (r.panel, r.series) == (panel, series)))
            for panel in self.panels
            for series in self.series
        )
        return [group for group in every if group.runs]

    @cached_property
    def views(self) -> list[str]:
        """Views in which any run has an accuracy, the one that is judged first."""
        of_runs = (run.summary["accuracy"].items() for run in self.runs)
        known = list(dict.fromkeys(view for of in of_runs for view, n in of if n["last"] is not None))
        return sorted(known, key=lambda view: view != self.view)

    @property
    def has_evaluations(self) -> bool:
        """Whether any run tested its models."""
        return any(run.summary["accuracy"] for run in self.runs)

    @property
    def n_seeds(self) -> int:
        """Seeds of the largest group."""
        return max((len(group.runs) for group in self.groups), default=0)

    def of_panel(self, panel: str) -> list[Group]:
        """Groups of one panel."""
        return [group for group in self.groups if group.panel == panel]

    def index(self, series: str) -> int:
        """Number of a series."""
        return self.series.index(series)


def gather(paths: Iterable[Path]) -> RunSet:
    """Reads run and study directories.

    Raises:
        ResultsError: if a path is neither, or there is no run at all.
    """
    given = tuple(paths)
    studies: list[StudyRecord] = []
    runs: list[Run] = []
    loose: list[StoredRun] = []
    missing: list[tuple[str, str]] = []
    stopped: list[tuple[str, str]] = []
    several = sum(is_study(path) for path in given) > 1
    for path in given:
        if is_study(path):
            record = read_study(path)
            studies.append(record)
            found, lost, early = _of_study(record, path, record.name if several else "")
            runs += found
            missing += lost
            stopped += early
        else:
            loose.append(StoredRun(path))
    runs += _loose(loose)
    if not runs:
        told = "; ".join(f"{label}: {what}" for label, what in missing[:3])
        raise ResultsError(f"there is no completed run to report on{': ' if told else ''}{told}")
    first = runs[0].summary
    targets = {t for study in studies for t in study.targets} or {
        float(t) for t in first["time_to_accuracy_s"]
    }
    names = [study.name for study in studies] or list(dict.fromkeys(str(run.summary["name"]) for run in runs))
    view = studies[0].target_view if studies else str(first["target_view"])
    if first["accuracy"] and view not in first["accuracy"]:
        view = next(iter(first["accuracy"]))
    return RunSet(
        title=", ".join(map(words.titled, names)),
        question=" ".join(study.question for study in studies if study.question),
        paths=given,
        studies=tuple(studies),
        runs=tuple(runs),
        missing=tuple(missing),
        stopped=tuple(stopped),
        targets=tuple(sorted(targets)),
        budgets_s=tuple(sorted({budget for study in studies for budget in study.budgets_s})),
        view=view,
    )


def _of_study(
    record: StudyRecord, path: Path, prefix: str
) -> tuple[list[Run], list[tuple[str, str]], list[tuple[str, str]]]:
    """Runs with results, those without, and those whose setting was stopped early."""
    runs, missing, stopped = [], [], []
    early = [entry.axes for entry in record.runs if entry.is_stopped]
    for entry in record.runs:
        folder = path / RUNS / entry.label
        if entry.has_ended and (entry.status != "completed" or entry.axes in early):
            alone = "completed, but other seeds of its setting were stopped"
            stopped.append((entry.label, alone if entry.status == "completed" else entry.status))
            continue
        if entry.status != "completed" or not folder.is_dir():
            what = entry.status if entry.status != "completed" else f"completed, but {folder} is not there"
            missing.append((entry.label, what))
            continue
        others = [axis for axis in record.axes if axis not in record.series]
        series = ", ".join(entry.axes[axis] for axis in record.series)
        panel = ", ".join(filter(None, [prefix, *(entry.axes[axis] for axis in others)]))
        stored = StoredRun(folder)
        runs.append(Run(series or str(stored.summary["framework"]), panel, entry.seed, stored))
    return runs, missing, stopped


def _loose(found: Sequence[StoredRun]) -> list[Run]:
    """Runs outside a study: frameworks are lines, names of scenarios panels; what is still alike gets a number."""
    kinds = {(str(run.summary["name"]), str(run.summary["framework"])) for run in found}
    names, frameworks = ({kind[place] for kind in kinds} for place in (0, 1))
    # Where each scenario has its own framework, one panel compares them.
    several_panels = len(names) > 1 and (len(frameworks) == 1 or len(names) != len(kinds))
    runs: list[Run] = []
    seen: Counter[tuple[str, str, int]] = Counter()
    for stored in found:
        series, seed = str(stored.summary["framework"]), int(stored.summary["seed"])
        panel = str(stored.summary["name"]) if several_panels else ""
        seen[series, panel, seed] += 1
        number = seen[series, panel, seed]
        runs.append(Run(f"{series} #{number}" if number > 1 else series, panel, seed, stored))
    return runs
