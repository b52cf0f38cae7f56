"""From a study file to its runs: each a resolved scenario with a name and a hash, or what is wrong with it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import Problem, ScenarioError, unknown
from gapslsim.registry import settings_of
from gapslsim.regular_files import is_file, read_text
from gapslsim.results.study import RunRecord, StudyRecord
from gapslsim.scenario.dumping import dump, to_dict
from gapslsim.scenario.loading import Source, is_yaml, read, read_override, vary
from gapslsim.scenario.problems import explain, place, raise_if_any, stray_words
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.shipped import find_study
from gapslsim.scenario.tree import Tree, parse, plain, tree_of
from gapslsim.studies._drawn import search_problems, with_drawn
from gapslsim.studies._truth import Setting, alike, not_as_labelled, settings_of_axes, undone
from gapslsim.studies.axes import Axis, Change, axes_of, check_names, combinations, slug
from gapslsim.studies.schema import Study
from gapslsim.studies.search import Point
from gapslsim.units import STRICT_UNITS

__all__ = ["Plan", "PlannedRun", "load_study"]


@dataclass(frozen=True)
class PlannedRun:
    """One run to be."""

    record: RunRecord
    scenario: Scenario | None
    """None if it is impossible."""
    yaml: str
    """The resolved scenario as text; empty if it is impossible."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A study with all its runs resolved."""

    study: Study
    record: StudyRecord
    runs: tuple[PlannedRun, ...]
    with_points: Callable[[Sequence[Point]], Plan] = field(repr=False, compare=False)
    """The same study with other points of its search."""
    points: tuple[Point, ...] = ()
    """What its search tries, in order; some more than once."""
    trials: tuple[tuple[str, ...], ...] = ()
    """Values on these of each point, in words; the same points once."""
    remarks: tuple[str, ...] = ()
    """What is worth knowing before it is run."""

    @property
    def possible(self) -> list[PlannedRun]:
        """Runs whose scenario is sound."""
        return [run for run in self.runs if run.scenario is not None]

    @property
    def impossible(self) -> list[PlannedRun]:
        """Runs whose scenario has problems."""
        return [run for run in self.runs if run.scenario is None]

    @property
    def digest(self) -> str:
        """Eight digits that tell studies of other runs apart."""
        text = "\n".join(run.record.scenario_sha256 for run in self.runs)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def load_study(path: str | Path, *, set: Iterable[str] = ()) -> Plan:
    """Reads a study and resolves every run.

    Args:
        path: a study file; a bare name such as `studies/quickstart` means the shipped one.
        set: changes of every run, `dotted.path=value`.

    Raises:
        ScenarioError: lists every problem of the study file, or every problem of its runs if none is possible.
    """
    file = find_study(path)
    try:
        text = read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError([Problem("", f"cannot be read as UTF-8 text: {error}.", str(file))]) from None
    tree, problems = parse(text, str(file))
    raise_if_any(problems if tree.value is None else ())
    study = _study(tree, str(file), problems)
    return _plan(study, tree, file, text, tuple(set), study.search.ask([]) if study.search else ())


def _plan(
    study: Study, tree: Tree, file: Path, text: str, overrides: Iterable[str], points: Sequence[Point]
) -> Plan:
    space = tree.value["search"].value["space"] if study.search else Tree({})
    drawn = with_drawn(tree.value.get("axes", Tree({})), study.search, space, points)
    axes, found = axes_of(drawn, str(file))
    raise_if_any(found)
    crossed = [len(axis.choices) for axis in axes if not axis.searched]
    n_runs = prod([*crossed, len(set(points)) or 1, len(study.seeds)])
    if n_runs > _MOST_RUNS:
        fix = "write fewer values, or several studies that share a --journal"
        raise_if_any(
            [place(tree, ("axes",), f"make {n_runs} runs; at most {_MOST_RUNS} are planned at once: {fix}.")]
        )
    source = _base(study, tree, file)
    common = _common(study, tree, overrides, str(file))
    own = [
        Setting(f"the study's {key!r}", key, tree, f"write it under {name!r}") for key, name in _OWN.items()
    ]
    raise_if_any(undone([*common, *settings_of_axes(axes), *own], axes))
    changes = [(setting.path, setting.place) for setting in common]
    cells = [_cell(study, source, changes, axes, each) for each in combinations(axes)]
    # Again: the metrics of own components are columns, too, and known by now.
    raise_if_any(check_names(axes, str(file)))
    raise_if_any(problem for cell in cells for problem in cell.untrue)
    raise_if_any(alike({tuple(cell.names.values()): cell.content for cell in cells}, axes, str(file)))
    runs = tuple(run for cell in cells for run in cell.runs)
    raise_if_any(_judged_alike(runs, tree))
    # The base without any axis tells targets and view even where the first combination is impossible.
    possible = [run.scenario for run in runs if run.scenario is not None]
    remarks: tuple[str, ...] = ()
    with suppress(ScenarioError):
        possible.insert(0, vary(source, changes))
        remarks = tuple(_as_the_base(source, changes, possible[0], axes))
    runs = tuple(_unlike(runs))
    raise_if_any(
        [
            *_figure_problems(study, tree, axes, runs),
            *_adaptive_problems(study, tree, axes, possible),
            *search_problems(study, tree, axes),
        ]
    )
    if all(run.scenario is None for run in runs):
        raise_if_any(problem for run in runs for problem in run.problems)
    searched = [axis for axis in axes if axis.searched]
    return Plan(
        study,
        _record(study, axes, runs, possible[0], file, text),
        runs,
        partial(_plan, study, tree, file, text, overrides),
        tuple(points),
        tuple(zip(*([choice.name for choice in axis.choices] for axis in searched), strict=True)),
        remarks,
    )


def _as_the_base(source: Source, common: list[Change], base: Scenario, axes: Sequence[Axis]) -> Iterator[str]:
    """Variants that change nothing. None is a mistake: it may be there to compare the others with."""
    for axis in axes:
        for choice in axis.choices if axis.kind == "variants" else ():
            with suppress(ScenarioError):
                if vary(source, [*common, *choice.changes]) == base:
                    yield f"{choice.name!r} of the axis {axis.name!r} changes nothing: it is the base as it is."


def _study(tree: Tree, file: str, problems: list[Problem]) -> Study:
    if not isinstance(tree.value, dict):
        fix = "write a mapping with name, base, axes and seeds"
        raise ScenarioError([Problem("", f"holds no study; {fix}.", file)])
    try:
        study = TypeAdapter(Study).validate_python(plain(tree), context=STRICT_UNITS)
    except ValidationError as error:
        raise_if_any([*problems, *explain(error, Study, tree)])
        raise
    raise_if_any([*problems, *stray_words(tree, study)])
    return study


def _base(study: Study, tree: Tree, file: Path) -> Source:
    beside = file.parent / study.base
    try:
        if is_file(beside) and not is_yaml(beside):
            raise ScenarioError(
                [Problem("", "is called neither .yaml nor .yml, so that it is not read; rename it")]
            )
        return read(beside if is_file(beside) else study.base)
    except ScenarioError as error:
        texts = (f"{study.base!r}: {problem.message}" for problem in error.problems)
        raise ScenarioError([place(tree, ("base",), text) for text in texts]) from None


def _judged_alike(runs: Iterable[PlannedRun], tree: Tree) -> Iterator[Problem]:
    views = {run.scenario.evaluation.target_view for run in runs if run.scenario is not None}
    if len(views) > 1:
        text = f"evaluation.target_view is {' and '.join(sorted(views))}, but all runs are judged in one view"
        yield place(tree, ("axes",), f"{text}; write 'targets: {{view: ...}}' instead.")


def _figure_problems(
    study: Study, tree: Tree, axes: Sequence[Axis], runs: Sequence[PlannedRun]
) -> list[Problem]:
    """Where the figure names what the study does not have."""
    if study.figure is None:
        return []
    views = {view for run in runs if run.scenario is not None for view in run.scenario.evaluation.views}
    known = {axis.name: [choice.name for choice in axis.choices] for axis in axes}
    found = study.figure.problems(known, views or {study.figure.view or ""})
    return [place(tree, ("figure", setting), text) for setting, text in found.items()]


def _adaptive_problems(
    study: Study, tree: Tree, axes: Sequence[Axis], scenarios: Sequence[Scenario]
) -> list[Problem]:
    """Where what stops runs early does not fit the study."""
    if study.adaptive is None:
        return []
    found: dict[str, str] = {}
    for scenario in scenarios:
        found |= study.adaptive.problems(scenario.stop, len(study.seeds))
    names = [axis.name for axis in axes]
    for name in study.adaptive.within:
        if name not in names:
            found["within"] = unknown("axis", name, names)
    return [place(tree, ("adaptive", setting), text) for setting, text in found.items()]


_MOST_RUNS: Final = 100_000
_OWN: Final = {"seed": "seeds", "name": "name"}
"""What the study sets in every run, and where it is written."""


def _common(study: Study, tree: Tree, overrides: Iterable[str], file: str) -> list[Setting]:
    """Changes that every run has: of the file, of its targets, of the command line. Raises ScenarioError."""
    given = tree.value.get("set")
    settings = [Setting("'set'", path, value) for path, value in ((given and given.value) or {}).items()]
    targets = tree.value.get("targets")
    for key, path in {"accuracy": "evaluation.targets", "view": "evaluation.target_view"}.items():
        if getattr(study.targets, key):
            settings.append(Setting(f"'targets.{key}'", path, targets.value[key], "change it there"))
    of_file = [setting for setting in settings if setting.by != "'set'"]
    for text in overrides:
        name, value, problems = read_override(text, file)
        raise_if_any(problems)
        settings.append(Setting(f"--set {text}", name, value))
        # What only the command line says may replace what the file says, but not what the study is judged by.
        raise_if_any(undone([*of_file, settings[-1]], ()))
    return settings


@dataclass(frozen=True)
class _Cell:
    """The runs of one combination, which differ in the seed alone."""

    names: dict[str, str]
    runs: tuple[PlannedRun, ...]
    content: str = ""
    """What is run, without name and seed."""
    untrue: tuple[Problem, ...] = ()


def _cell(
    study: Study,
    source: Source,
    common: list[Change],
    axes: Sequence[Axis],
    combination: tuple[dict[str, str], tuple[Change, ...]],
) -> _Cell:
    """One combination with every seed; what is wrong with one is wrong with all."""
    names, changes = combination
    others = [names[axis.name] for axis in axes if not axis.is_framework]
    title = " ".join(" ".join([study.name, *others]).translate(_UNSAFE).split())[:100]
    labels = {
        seed: "-".join([*(slug(name) for name in names.values()), f"seed{seed}"]) for seed in study.seeds
    }
    try:
        scenario = vary(
            source, [*common, *changes, ("name", tree_of(title)), ("seed", tree_of(study.seeds[0]))]
        )
    except ScenarioError as error:
        status = f"impossible: {'; '.join(map(str, error.problems))}"
        return _Cell(
            names,
            tuple(
                PlannedRun(RunRecord(label, names, seed, "", status), None, "", error.problems)
                for seed, label in labels.items()
            ),
        )
    runs = []
    for seed, label in labels.items():
        # Not resolved anew: only the seed differs, and reading a scenario takes longer than all else here.
        own = dataclasses.replace(scenario, seed=seed)
        text = dump(own)
        runs.append(
            PlannedRun(RunRecord(label, names, seed, hashlib.sha256(text.encode()).hexdigest()), own, text)
        )
    resolved = to_dict(dataclasses.replace(scenario, name="any", seed=0))
    untrue = tuple(not_as_labelled(changes, resolved))
    return _Cell(names, tuple(runs), json.dumps(resolved, sort_keys=True), untrue)


_UNSAFE = str.maketrans({sign: " " for sign in "/\\\n\0"})


def _unlike(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The same with labels that differ and are short enough for a file's name."""
    seen: set[str] = set()
    result = []
    for run in runs:
        label = run.record.label
        if len(label) > 100:
            # Of the whole label: those that differ only behind the cut stay apart.
            digest = hashlib.sha256(label.encode()).hexdigest()[:8]
            label = f"{label[:80]}-{digest}-seed{run.record.seed}"
        number = 1
        # In lower case, since file systems of macOS and Windows take such names for one.
        while label.lower() in seen:
            number += 1
            label = f"{run.record.label[:90]}-{number}"
        seen.add(label.lower())
        result.append(dataclasses.replace(run, record=dataclasses.replace(run.record, label=label)))
    return result


def _record(
    study: Study,
    axes: Sequence[Axis],
    runs: Sequence[PlannedRun],
    some: Scenario,
    file: Path,
    text: str,
) -> StudyRecord:
    framework = [axis.name for axis in axes if axis.is_framework or axis.searched]
    several = [axis.name for axis in axes if len(axis.choices) > 1]
    return StudyRecord(
        name=study.name,
        question=study.question,
        base=study.base,
        series=framework or several[:1],
        axes={axis.name: list(dict.fromkeys(choice.name for choice in axis.choices)) for axis in axes},
        seeds=list(study.seeds),
        targets=list(study.targets.accuracy or some.evaluation.targets),
        budgets_s=list(study.targets.time),
        target_view=study.targets.view or some.evaluation.target_view,
        command=["gapslsim", "sweep", str(file)],
        study_yaml=text,
        searched=[axis.name for axis in axes if axis.searched],
        objective=[settings_of(measure) for measure in study.search.objective] if study.search else [],
        figure=settings_of(study.figure) if study.figure is not None else None,
        runs=[run.record for run in runs],
    )
