"""Plans: the combination of settings that is best for a goal, timed by the simulator, with what it might miss."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from gapslsim.errors import Problem, ScenarioError
from gapslsim.planning.choices import axes_of, problems_of
from gapslsim.planning.search import Found, search, value_of
from gapslsim.planning.timing import Outcome, Timer
from gapslsim.results import words
from gapslsim.results.drawing.drawing import Drawing, Mark, Panel, Scale
from gapslsim.results.outputs import write_output
from gapslsim.results.summary import plain
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.loading import Source, read, vary
from gapslsim.scenario.planning import Goal
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import Tree, merge, parse, tree_of
from gapslsim.scenario.tree import plain as plain_of
from gapslsim.whole_run import whole_run

__all__ = ["Planned", "plan"]

_MOST: Final = 2000
"""Combinations that are timed unless asked otherwise."""
_MOST_DRAWN: Final = 400
_UNITS: Final[dict[Goal, Callable[[float], str]]] = {
    "round_time": words.seconds, "time_per_sample": words.seconds, "energy": words.energy,
    "energy_per_sample": words.energy, "bytes": words.size,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Planned:
    """What was chosen, and everything that was timed."""

    label: str
    """Name of the scenario."""
    goals: Mapping[Goal, float]
    """Weights of what was made small."""
    found: Found = field(repr=False)
    """What the search found: value, bound, how many combinations were timed."""
    table: pd.DataFrame = field(repr=False)
    """One row per combination that was timed, the best first: `choices`, a column for each choice, `round_time_s`,
    `time_per_sample_s`, `energy_j`, `energy_per_sample_j`, `size_bytes`, `n_samples`, memory of both sides, `value` of
    the goal, `on_front` (nothing has both less time and less energy), `wrong` (why it cannot be had), and of those that
    were trained the last accuracy and the time of the run."""
    before: Outcome = field(repr=False)
    """The scenario as it was written."""
    scenario: Scenario | None = field(repr=False)
    """With the best choices; None if no combination keeps the limits."""

    @property
    def sentences(self) -> list[str]:
        """What was found, and how sure it is."""
        found, n = self.found, f"{self.found.n_combinations:,}"
        if self.scenario is None:
            why = self.table["wrong"].iloc[0] if len(self.table) else ""
            return [
                f"None of the {found.n_timed:,} combinations that were timed can be had; the first: {why.rstrip('.')}."
            ]
        best = f"Best: {self.table['choices'].iloc[0]}; {self._told(found.value)}{self._against()}."
        if found.n_timed >= found.n_combinations:
            return [best, f"All {n} combinations were timed: it is optimal."]
        timed = f"{found.n_timed:,} of {n} combinations were timed"
        if found.is_optimal:
            return [best, f"It is optimal: {timed}, and nothing else can be better (bound)."]
        if found.gap is None:
            why = f"no bound is known here ({found.unbounded}), so that another may be better"
            return [best, f"{timed}; {why}."]
        return [best, f"{timed}; none of the others is better by more than {100 * found.gap:.1f} % (bound)."]

    def _told(self, value: float) -> str:
        if len(self.goals) > 1:
            return f"weighted goal {value:.4g}"
        ((goal, weight),) = self.goals.items()
        return f"{goal.replace('_', ' ')} {_UNITS[goal](value / weight)}"

    def _against(self) -> str:
        if self.before.wrong:
            return f" (as written: {self.before.wrong})"
        was = value_of(self.before, self.goals)
        return f", {self.found.value / was - 1:+.0%} against the scenario as written".replace("%", " %")

    def __str__(self) -> str:
        return " ".join(self.sentences)

    def drawing(self) -> Drawing:
        """Time against energy of what can be had, with the Pareto front."""
        per = "_per_sample" if any(goal.endswith("_per_sample") for goal in self.goals) else ""
        x = "time_per_sample_s" if per else "round_time_s"
        shown = self.table[self.table["wrong"] == ""]
        shown = pd.concat([shown[shown["on_front"]], shown[~shown["on_front"]].head(_MOST_DRAWN)])
        marks = [
            Mark(float(row[x]), float(row[f"energy{per}_j"]), 1 if row["on_front"] else 0)
            for row in shown.to_dict("records")[::-1]
        ]
        if not self.before.wrong:
            time: Goal = "time_per_sample" if per else "round_time"
            energy: Goal = "energy_per_sample" if per else "energy"
            marks.append(Mark(self.before.value(time), self.before.value(energy), 2, size=1.4))
        if self.scenario is not None:
            best = self.table.iloc[0]
            marks.append(Mark(float(best[x]), float(best[f"energy{per}_j"]), 3, size=1.4))
        of = "sample" if per else "round"
        panel = Panel(
            "", Scale.over((m.x for m in marks), f"time per {of} [s]", zero=True),
            Scale.over((m.y for m in marks), f"energy per {of} [J]", zero=True), marks, wide=True,
        )  # fmt: skip
        series = ("timed", "nothing beats it in both", "as written", "chosen")
        return Drawing(f"Plan for {self.label}", [panel], self.sentences, series=series, numbers=self.table)

    def write(self, path: str | Path) -> None:
        """Writes the scenario with the best choices; it runs.

        Raises:
            ResultsError: if it cannot be written.
            ScenarioError: if no combination can be had.
        """
        if self.scenario is None:
            raise ScenarioError([Problem("plan", self.sentences[0])])
        note = "".join(f"# {line}\n" for line in self.sentences)
        write_output(Path(path), f"# Chosen by gapslsim plan.\n{note}{dump(self.scenario)}")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        found = self.found
        told = {
            "scenario": self.label, "goals": dict(self.goals), "value": found.value, "bound": found.bound,
            "gap": found.gap, "optimal": found.is_optimal, "combinations": found.n_combinations,
            "timed": found.n_timed, "rows": self.table.to_dict("records"), "sentences": self.sentences,
        }  # fmt: skip
        made: dict[str, Any] = plain(told)
        return made


def plan(
    scenario: str | Path,
    *,
    choose: Mapping[str, Sequence[Any]] | None = None,
    goal: str | Mapping[str, float] | None = None,
    limits: Mapping[str, Any] | None = None,
    rounds: int | None = None,
    set: Iterable[str] = (),
    most: int = _MOST,
    train: int = 0,
    observer: Callable[[int], None] | None = None,
) -> Planned:
    """Chooses settings of a scenario: what its section `plan` names, and what is given here.

    Args:
        scenario: a file, or the name of a shipped scenario.
        choose: path to values, beside those of the section.
        goal: `round_time`, `time_per_sample`, `energy`, `energy_per_sample`, `bytes`, or weights of several.
        limits: what no plan may exceed, as in the section: `{"round_time": "2 s"}`.
        rounds: how many are timed of each combination.
        set: changes of the scenario, see `load`.
        most: combinations that are timed. Up to so many all are, else those that may be best.
        train: how many of the best are trained, which takes as long as it takes.
        observer: called with the number of combinations timed so far.

    Raises:
        ScenarioError: lists everything that is wrong, also with values that may be chosen.
    """
    source = _with_plan(read(scenario, set=set), choose, goal, limits, rounds)
    written = vary(source, ())
    if problems := problems_of(source, written):
        raise ScenarioError(problems)
    section = written.plan
    assert section is not None
    goals: dict[Goal, float] = section.goal if isinstance(section.goal, dict) else {section.goal: 1.0}
    axes, timer = axes_of(source, written), Timer(source, section)
    told = (lambda: None) if observer is None else (lambda: observer(len(timer.known)))
    found = search(axes, timer, goals, most, told)
    best = None if found.best is None else _free_of_plan(vary(source, _changes(found.best)))
    by_name = {choice.name: choice for axis in axes for choice in axis.choices}
    table = _table(timer.known, [axis.path for axis in axes], goals)
    if train:
        names = [n for n, wrong in zip(table.index, table["wrong"], strict=True) if not wrong][:train]
        scenarios = [_free_of_plan(vary(source, _changes([by_name[c] for c in name]))) for name in names]
        table = table.join(_trained(names, scenarios))
    before = timer.outcome(())
    return Planned(written.name, goals, found, table.reset_index(drop=True), before, best)


def _with_plan(
    source: Source,
    choose: Mapping[str, Sequence[Any]] | None,
    goal: str | Mapping[str, float] | None,
    limits: Mapping[str, Any] | None,
    rounds: int | None,
) -> Source:
    """The scenario with what was asked for laid upon its section."""
    given = {"choose": choose, "goal": goal, "limits": limits, "rounds": rounds}
    asked = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in given.items()
        if value is not None
    }
    if source.tree.value is None or not asked:
        return source
    was, new = source.tree.value.get("plan"), tree_of(asked, source.tree.file)
    if was is not None and isinstance(asked.get("goal"), dict):  # weights replace weights
        was = Tree({k: v for k, v in was.value.items() if k != "goal"}, was.file, was.line)
    both = new if was is None else merge(was, new)
    return dataclasses.replace(
        source, tree=dataclasses.replace(source.tree, value=source.tree.value | {"plan": both})
    )


def values_of(text: str) -> tuple[str, list[Any]]:
    """`path=1,2` or `path=[1, 2]` as a path and its values.

    Raises:
        ScenarioError: if it is neither.
    """
    path, equals, values = text.partition("=")
    tree, problems = parse(
        values if values.lstrip().startswith("[") else f"[{values}]", None, origin="--choose"
    )
    found = plain_of(tree)
    if not path or not equals or problems or not isinstance(found, list) or not found:
        raise ScenarioError([Problem("", f"found --choose {text!r}; write path=values, as model.cut=1,2,3.")])
    return path.strip(), found


def _changes(choices: Iterable[Any]) -> list[tuple[str, Tree]]:
    return [change for choice in choices for change in choice.changes]


def _free_of_plan(scenario: Scenario) -> Scenario:
    return dataclasses.replace(scenario, plan=None)


def _table(
    known: Mapping[tuple[str, ...], Outcome], paths: Sequence[str], goals: Mapping[Goal, float]
) -> pd.DataFrame:
    rows = []
    for names, one in known.items():
        there = not one.wrong or one.samples > 0
        rows.append(
            {
                "choices": ", ".join(names),
                **dict(zip(paths, (n.partition("=")[2] or n for n in names), strict=True)),
                "round_time_s": one.round_time if there else math.nan,
                "time_per_sample_s": one.value("time_per_sample") if there else math.nan,
                "energy_j": one.energy if there else math.nan,
                "energy_per_sample_j": one.value("energy_per_sample") if there else math.nan,
                "size_bytes": one.bytes, "n_samples": one.samples, "client_memory_bytes": one.client_memory,
                "server_memory_bytes": one.server_memory,
                "value": math.inf if one.wrong else value_of(one, goals), "wrong": one.wrong,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows, index=pd.Index(list(known), tupleize_cols=False))
    per = "_per_sample" if any(goal.endswith("_per_sample") for goal in goals) else ""
    time, energy = ("time_per_sample_s" if per else "round_time_s"), f"energy{per}_j"
    table["on_front"] = _front(table[time], table[energy], table["wrong"] == "")
    return table.sort_values("value", kind="stable")


def _front(time: pd.Series, energy: pd.Series, there: pd.Series) -> list[bool]:
    """Whether nothing that can be had has less of one and no more of the other."""
    found, least = dict.fromkeys(range(len(time)), False), math.inf
    for place in np.lexsort((energy.to_numpy(), time.to_numpy())):
        if there.iloc[place] and energy.iloc[place] < least:
            found[int(place)], least = True, float(energy.iloc[place])
    return list(found.values())


def _trained(names: Sequence[tuple[str, ...]], scenarios: Sequence[Scenario]) -> pd.DataFrame:
    """Last accuracy and time of the runs, and times to their targets."""
    rows = []
    for scenario in scenarios:
        told = whole_run(scenario).summary
        rows.append(
            {f"accuracy {view}": numbers["last"] for view, numbers in told["accuracy"].items()}
            | {"simulated_time_s": told["simulated_time_s"]}
            | {f"time_to_accuracy_s {target}": at_s for target, at_s in told["time_to_accuracy_s"].items()}
        )
    return pd.DataFrame(rows, index=pd.Index(list(names), tupleize_cols=False))
