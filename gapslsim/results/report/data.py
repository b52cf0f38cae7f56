"""What a page is made of: runs with their place in the comparison, from run and study directories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results.results import Results
from gapslsim.results.store import is_run, load_results, load_summary, load_table
from gapslsim.results.study import RUNS, StudyRecord, is_study, read_study
from gapslsim.results.summary import accuracy_curve

__all__ = ["Group", "Run", "RunSet", "gather"]


@dataclass(frozen=True, eq=False)
class Run:
    """One run and its place: which line of which panel."""

    series: str
    panel: str
    seed: int
    folder: Path
    summary: dict[str, Any] = field(repr=False)

    @cached_property
    def results(self) -> Results:
        """All tables but those that only few figures need, read when first asked for."""
        return load_results(self.folder)

    def curve(self, view: str) -> pd.DataFrame:
        """Accuracy of a view over time."""
        return accuracy_curve(self.evaluations, view)

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """Test accuracies."""
        return pd.read_parquet(self.folder / "evaluations.parquet")

    @cached_property
    def alignment(self) -> pd.DataFrame:
        """Gradient geometry as GAPSL's rules see it."""
        return pd.read_parquet(self.folder / "alignment.parquet")

    @cached_property
    def updates(self) -> pd.DataFrame:
        """Gradient geometry of each measured round."""
        return load_table(self.folder, "updates")

    @cached_property
    def pairwise(self) -> pd.DataFrame:
        """Angles between every two clients' gradients."""
        return load_table(self.folder, "pairwise")


@dataclass(frozen=True)
class Group:
    """Runs that differ in the seed alone."""

    series: str
    panel: str
    runs: tuple[Run, ...]

    def accuracies(self, view: str, which: str = "last") -> list[float]:
        """Of each seed that has the view."""
        return [float(r.summary["accuracy"][view][which]) for r in self.runs if view in r.summary["accuracy"]]

    def numbers(self, *path: str) -> list[float]:
        """An entry of each seed's summary."""
        found = []
        for run in self.runs:
            value: Any = run.summary
            for key in path:
                value = value[key]
            found.append(float(value))
        return found


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
        found: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            found.setdefault((run.panel, run.series), []).append(run)
        keys = [(panel, series) for panel in self.panels for series in self.series]
        return [
            Group(series, panel, tuple(found[panel, series]))
            for panel, series in keys
            if (panel, series) in found
        ]

    @cached_property
    def views(self) -> list[str]:
        """Views that any run has, the one that is judged first."""
        known = list(dict.fromkeys(view for run in self.runs for view in run.summary["accuracy"]))
        return sorted(known, key=lambda view: view != self.view)

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
    loose: list[tuple[Path, dict[str, Any]]] = []
    missing: list[tuple[str, str]] = []
    several = sum(is_study(path) for path in given) > 1
    for path in given:
        if is_study(path):
            record = read_study(path)
            studies.append(record)
            found, lost = _of_study(record, path, record.name if several else "")
            runs += found
            missing += lost
        else:
            loose.append((path, load_summary(path)))
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
        title=", ".join(names),
        question=" ".join(study.question for study in studies if study.question),
        paths=given,
        studies=tuple(studies),
        runs=tuple(runs),
        missing=tuple(missing),
        targets=tuple(sorted(targets)),
        budgets_s=tuple(sorted({budget for study in studies for budget in study.budgets_s})),
        view=view,
    )


def _of_study(record: StudyRecord, path: Path, prefix: str) -> tuple[list[Run], list[tuple[str, str]]]:
    runs, missing = [], []
    for entry in record.runs:
        folder = path / RUNS / entry.label
        if entry.status != "completed" or not is_run(folder):
            missing.append((entry.label, entry.status))
            continue
        others = [axis for axis in record.axes if axis not in record.series]
        series = ", ".join(entry.axes[axis] for axis in record.series)
        panel = ", ".join([*([prefix] if prefix else []), *(entry.axes[axis] for axis in others)])
        summary = load_summary(folder)
        runs.append(Run(series or str(summary["framework"]), panel, entry.seed, folder, summary))
    return runs, missing


def _loose(found: Sequence[tuple[Path, dict[str, Any]]]) -> list[Run]:
    """Runs outside a study: frameworks are lines, names of scenarios panels; what is still alike gets a number."""
    names = {str(summary["name"]) for _, summary in found}
    several_frameworks = len({str(summary["framework"]) for _, summary in found}) > 1
    runs: list[Run] = []
    seen: dict[tuple[str, str, int], int] = {}
    for path, summary in found:
        series, panel = str(summary["framework"]), ""
        if len(names) > 1:
            panel = str(summary["name"])
            if several_frameworks and len(names) == len(
                {(str(s["name"]), str(s["framework"])) for _, s in found}
            ):
                panel = ""  # each scenario has its own framework: one panel compares them
        key = (series, panel, int(summary["seed"]))
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:
            series = f"{series} #{seen[key]}"
        runs.append(Run(series, panel, int(summary["seed"]), path, summary))
    return runs
