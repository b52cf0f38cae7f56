"""The axes that a search draws: as those of a grid, but of the values only what is tried together."""

from __future__ import annotations

from collections.abc import Sequence

from gapslsim.errors import Problem
from gapslsim.scenario.problems import place
from gapslsim.scenario.tree import Tree
from gapslsim.studies.axes import Axis
from gapslsim.studies.schema import Study
from gapslsim.studies.search import Point, Range, Search

__all__ = ["search_problems", "with_drawn"]


def with_drawn(axes: Tree, search: Search | None, space: Tree, points: Sequence[Point]) -> Tree:
    """The axes of a study file, and one per path of the space with the value of each point; the same points once.

    Args:
        axes: as in the file.
        search: if there is one.
        space: of the search, as in the file.
        points: that are tried.
    """
    if search is None:
        return axes
    drawn: dict[str, Tree] = {}
    for index, (path, entry) in enumerate(search.space.items()):
        written = space.value[path]
        values = []
        for point in dict.fromkeys(points):
            number = point[index]
            whole = isinstance(entry, Range) and entry.whole
            value = Tree(int(number) if whole else number, written.file, written.line)
            values.append(value if isinstance(entry, Range) else written.value[int(number)])
        drawn[path] = Tree(values, written.file, written.line)
    return Tree({**(axes.value or {}), "search": Tree(drawn)}, axes.file, axes.line)


def search_problems(study: Study, tree: Tree, axes: Sequence[Axis]) -> list[Problem]:
    """Where a search that learns from its trials does not fit the study."""
    if study.search is None or not study.search.learns:
        return []
    others = [axis.name for axis in axes if not axis.searched and len(axis.choices) > 1]
    found = []
    if others:
        text = f"{study.search.kind} learns from one number per trial, and there are axes besides"
        fix = "move them into 'space', or take 'sobol'"
        found.append(place(tree, ("search", "kind"), f"{text} ({', '.join(others)}); {fix}."))
    if study.adaptive is not None:
        text = f"{study.search.kind} learns from whole runs, and 'adaptive' stops them early"
        found.append(place(tree, ("search", "kind"), f"{text}; leave one out, or take 'sobol'."))
    return found
