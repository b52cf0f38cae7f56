"""What may be chosen, as axes of changes to a scenario."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

from gapslsim.errors import Problem, ScenarioError
from gapslsim.scenario.loading import Source, vary
from gapslsim.scenario.planning import Plan, Shares
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import Tree, plain
from gapslsim.units import format_quantity, whole_number

__all__ = ["Axis", "Choice", "axes_of", "problems_of"]

_NUMBER = re.compile(r"\s*([\d.]+(?:[eE][-+]?\d+)?)\s*(.*)")


@dataclass(frozen=True, eq=False)
class Choice:
    """A value of an axis."""

    name: str
    changes: tuple[tuple[str, Tree], ...]
    """Paths and values."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One thing that is chosen."""

    path: str
    choices: tuple[Choice, ...]
    is_division: bool = False
    """Whether its choices divide a whole among groups."""

    @cached_property
    def group(self) -> int | None:
        """The only client group that it changes; None if it changes anything else."""
        groups = {_group(path) for choice in self.choices for path, _ in choice.changes}
        return groups.pop() if len(groups) == 1 else None


def _group(path: str) -> int | None:
    parts = path.split(".")
    return whole_number(parts[1]) if parts[0] == "clients" and len(parts) > 2 else None


def axes_of(source: Source, scenario: Scenario) -> list[Axis]:
    """Axes in the order of the plan.

    Args:
        source: the file as it was read: its plan has the places of values.
        scenario: the same, checked.

    Raises:
        ScenarioError: if there is nothing to choose.
    """
    plan: Plan | None = scenario.plan
    if plan is None or not (plan.choose or plan.shares):
        fix = "write plan: {choose: {model.cut: [1, 2]}}, or --choose model.cut=1,2"
        raise ScenarioError([Problem("plan.choose", f"nothing is to be chosen; {fix}.")])
    written = source.tree.at(("plan", "choose"))
    axes = []
    for path, values in plan.choose.items():
        trees = written.value[path].value
        assert len(trees) == len(values)
        places = range(len(scenario.clients)) if path.startswith("clients.each.") else [None]
        for place in places:
            own = path if place is None else path.replace("each", str(place), 1)
            choices = [Choice(f"{own}={_told(plain(tree))}", ((own, tree),)) for tree in trees]
            axes.append(Axis(own, tuple(choices)))
    return [*axes, *(_of_shares(scenario, shares) for shares in plan.shares)]


def _told(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_told(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def _of_shares(scenario: Scenario, shares: Shares) -> Axis:
    """Every division of the whole into parts."""
    found = _NUMBER.fullmatch(str(shares.of))
    if found is None:
        text = f"found {shares.of!r}; write a number, with its unit if it has one, for instance 100 Mbit/s."
        raise ScenarioError([Problem("plan.shares.of", text)])
    whole, unit = float(found[1]), found[2].strip()
    counts = [_clients_of(scenario, path) for path in shares.among]
    choices = []
    for parts in _divisions(shares.steps, len(counts)):
        values = [whole * part / shares.steps / count for part, count in zip(parts, counts, strict=True)]
        trees = [Tree(f"{value!r} {unit}" if unit else value) for value in values]
        name = f"{format_quantity(whole, unit) if unit == 'bit/s' else shares.of} as " + ":".join(
            map(str, parts)
        )
        choices.append(Choice(name, tuple(zip(shares.among, trees, strict=True))))
    return Axis(f"shares of {shares.of}", tuple(choices), is_division=True)


def _clients_of(scenario: Scenario, path: str) -> int:
    place = _group(path)
    if place is None or place >= len(scenario.clients):
        text = f"found {path!r}; name a client group's part, for instance clients.0.link.uplink."
        raise ScenarioError([Problem("plan.shares.among", text)])
    return scenario.clients[place].count


def _divisions(n: int, parts: int) -> Iterator[Sequence[int]]:
    """Every way to write n as a sum of so many whole numbers above 0."""
    for cuts in combinations(range(1, n), parts - 1):
        ends = (0, *cuts, n)
        yield [end - begin for begin, end in pairwise(ends)]


def problems_of(source: Source, scenario: Scenario) -> list[Problem]:
    """What is wrong with any single value that may be chosen."""
    found: list[Problem] = []
    try:
        axes = axes_of(source, scenario)
    except ScenarioError as error:
        return list(error.problems)
    each = [p for p in (scenario.plan.choose if scenario.plan else ()) if p.startswith("clients.each.")]
    # A value that is any group's is tried in the first.
    alike = {
        path.replace("each", str(place), 1) for path in each for place in range(1, len(scenario.clients))
    }
    for axis in axes:
        for choice in () if axis.path in alike else axis.choices:
            try:
                vary(source, choice.changes)
            except ScenarioError as error:
                found += error.problems
    return list(dict.fromkeys(found))
