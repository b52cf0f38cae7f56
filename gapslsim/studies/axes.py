"""From the axes of a study file to combinations of values with their names."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from gapslsim.errors import Problem
from gapslsim.scenario.tree import Tree, plain
from gapslsim.studies._tables import is_column

__all__ = ["Axis", "axes_of", "check_names", "combinations", "slug"]

Change = tuple[str, Tree]
"""Dotted path and value."""

_LONGEST: Final = 48


@dataclass(frozen=True)
class Choice:
    """One value of an axis."""

    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Axis:
    """What is varied together, with its values."""

    name: str
    choices: tuple[Choice, ...]
    line: int | None
    kind: str = "grid"
    """Under which key it stands: grid, zip or variants; `search` where its values are those of a search's points."""

    @property
    def searched(self) -> bool:
        """Whether its values go together with those of the other searched axes."""
        return self.kind == "search"

    @property
    def is_framework(self) -> bool:
        """Whether it changes the framework or a part of it."""
        return any(path.split(".")[0] == "framework" for c in self.choices for path, _ in c.changes)


def axes_of(tree: Tree, file: str) -> tuple[list[Axis], list[Problem]]:
    """Axes in the order of the file.

    Args:
        tree: the mapping under `axes`, valid by the schema.
        file: name of the study file, for messages.
    """
    axes: list[Axis] = []
    problems: list[Problem] = []
    for kind, entries in (tree.value or {}).items():
        for name, entry in entries.value.items():
            make = {"grid": _grid, "zip": _zip, "variants": _variants, "search": _grid}[kind]
            found, wrong = make(name, entry)
            wrong += [text for text in map(_unclean, [name, *(choice.name for choice in found)]) if text]
            told_apart = found if kind == "search" else _told_apart(found)
            axes.append(Axis(name, tuple(told_apart), entry.line, kind))
            problems += [Problem(f"axes.{kind}.{name}", text, file, entry.line) for text in wrong]
    # Others were given their names.
    short = [_short(axis.name) if axis.kind in ("grid", "search") else axis.name for axis in axes]
    named = [
        axis if is_column(brief) or short.count(brief) > 1 else replace(axis, name=brief)
        for axis, brief in zip(axes, short, strict=True)
    ]
    problems += check_names(named, file)
    return named, problems


def combinations(axes: Sequence[Axis]) -> Iterator[tuple[dict[str, str], tuple[Change, ...]]]:
    """Every combination: names by axis, and the changes to make. Values that a search drew together stay together."""
    crossed = [axis for axis in axes if not axis.searched]
    axes = [*crossed, *(axis for axis in axes if axis.searched)]
    drawn = list(zip(*(axis.choices for axis in axes if axis.searched), strict=True)) or [()]
    for others, point in product(product(*(axis.choices for axis in crossed)), drawn):
        choices = (*others, *point)
        names = {axis.name: choice.name for axis, choice in zip(axes, choices, strict=True)}
        yield names, tuple(change for choice in choices for change in choice.changes)


def slug(text: str) -> str:
    """Text as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+=]+", "_", text).strip("_.") or "x"


def _grid(path: str, entry: Tree) -> tuple[list[Choice], list[str]]:
    if isinstance(entry.value, dict):
        if not entry.value:
            return [], ["has no values; write a list, or a mapping from names to values"]
        return [Choice(name, ((path, value),)) for name, value in entry.value.items()], []
    return [Choice(_name(plain(value)), ((path, value),)) for value in entry.value], []


def _zip(name: str, entry: Tree) -> tuple[list[Choice], list[str]]:
    lengths = {path: len(values.value) for path, values in entry.value.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{path} has {n}" for path, n in lengths.items()) or "there are no paths"
        # The shorter list would otherwise decide in silence how many runs there are.
        return [], [f"the lists must be equally long; {told}"]
    rows = zip(*(values.value for values in entry.value.values()), strict=True)
    return [
        Choice(", ".join(_name(plain(value)) for value in row), tuple(zip(lengths, row, strict=True)))
        for row in rows
    ], []


def _variants(name: str, entry: Tree) -> tuple[list[Choice], list[str]]:
    if not entry.value:
        return [], ["has no variants; write a mapping from names to changes"]
    return [Choice(variant, tuple(changes.value.items())) for variant, changes in entry.value.items()], []


def _name(value: Any) -> str:
    """A value as people read it: `epsl phi=0.5`."""
    if isinstance(value, Mapping):
        tags = [str(value[tag]) for tag in ("kind", "optimizer") if tag in value]
        rest = [f"{key}={_name(v)}" for key, v in value.items() if key not in ("kind", "optimizer")]
        text = " ".join([*tags, *rest])
    elif isinstance(value, (list, tuple)):
        text = "+".join(map(_name, value))
    elif isinstance(value, str):
        text = " ".join(value.split()) or "(empty)"
    else:
        text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _told_apart(choices: Iterable[Choice]) -> list[Choice]:
    seen = Counter[str]()
    result = []
    for choice in choices:
        seen[choice.name] += 1
        number = f" #{seen[choice.name]}" if seen[choice.name] > 1 else ""
        result.append(Choice(choice.name + number, choice.changes))
    return result


def _short(name: str) -> str:
    """The last part of a path that is no index: `alpha` for `data.partition.alpha`."""
    parts = [part for part in name.split(".") if not part.isdigit() and part != "*"]
    return parts[-1] if parts else name


def _unclean(name: str) -> str:
    """What is wrong with a name beside what it means; empty if nothing is."""
    tidy = " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())
    if tidy == name != "":
        return ""
    fix = f"write {tidy!r}" if tidy else "give it one that can be seen"
    return f"the name {name!r} has blanks or signs that nobody sees; {fix}"


def check_names(axes: Sequence[Axis], file: str) -> list[Problem]:
    """Axes that are called as another one, or as a column of the tables, in any case of letters."""
    found = []
    names = [axis.name.casefold() for axis in axes]
    for axis in axes:
        if is_column(axis.name):
            fix = "call it otherwise, a path by 'zip: {NAME: {PATH: [...]}}'"
            fix = "write the seeds under 'seeds'" if axis.name == "seed" else fix
            found.append(
                (axis, f"a column of the study's tables is called so, and an axis must not be; {fix}")
            )
        elif names.count(axis.name.casefold()) > 1:
            found.append((axis, "two axes have this name; rename one"))
    return [Problem(f"axes.{axis.name}", text, file, axis.line) for axis, text in found]
