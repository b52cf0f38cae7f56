"""What keeps the labels of a study true: no setting is undone by another, and two labels are two runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

from gapslsim.errors import Problem
from gapslsim.scenario.loading import parts_of
from gapslsim.scenario.tree import Path, Tree, plain
from gapslsim.studies.axes import Axis, Change

__all__ = ["Setting", "alike", "not_as_labelled", "settings_of_axes", "undone"]


@dataclass(frozen=True)
class Setting:
    """That a path is set, and by what."""

    by: str
    """In words: `set`, `the axis 'alpha'`."""
    path: str
    place: Tree
    """Where it is written."""
    fix: str = "remove one of them"
    """What to do where it undoes another."""
    axis: str = ""
    """Name of the axis that sets it, if one does."""
    always: bool = True
    """Whether every value of that axis sets it."""

    @property
    def parts(self) -> Path:
        """Keys and indices of the path."""
        return parts_of(self.path)


def settings_of_axes(axes: Iterable[Axis]) -> Iterator[Setting]:
    """What the axes set, each path once per axis."""
    for axis in axes:
        of_choices = [{path: value for path, value in choice.changes} for choice in axis.choices]
        for path, value in {path: value for of_one in of_choices for path, value in of_one.items()}.items():
            always = all(path in of_one for of_one in of_choices)
            fix = "write it into the values of that axis"
            yield Setting(f"the axis {axis.name!r}", path, value, fix, axis.name, always)


def undone(settings: Iterable[Setting], axes: Iterable[Axis]) -> list[Problem]:
    """Settings that others undo, wholly or in a part, and axes that set the same.

    Args:
        settings: in the order in which they are made; what is set later wins.
        axes: of which each value is looked at by itself, too.
    """
    found: dict[tuple[str, str, str], Problem] = {}
    own = [
        [
            Setting(f"{c.name!r} itself", path, value, "write it behind that, or remove it")
            for path, value in c.changes
        ]
        for axis in axes
        for c in axis.choices
    ]
    for first, then in chain.from_iterable(combinations(each, 2) for each in (settings, *own)):
        if first.axis and then.axis:
            if first.axis != then.axis and _meet(first.parts, then.parts):
                text = (
                    f"{first.by} sets {first.path} and {then.by} {then.path}, the same or one a part of the other, so "
                    "labels would not be true; keep one of the axes, or write the combinations as variants of one"
                )
                found.setdefault((first.by, then.by, ""), _said(then, text))
        elif _covers(then, first):
            text = f"has no effect{_where(then)}: {then.by} sets {then.path} after it; {then.fix}"
            found.setdefault((first.by, then.by, first.path), _said(first, text))
    return list(found.values())


def _covers(then: Setting, first: Setting) -> bool:
    """Whether a later setting takes an earlier one away. What an axis sets in some runs only has a default else."""
    same = then.parts == first.parts
    inside = len(then.parts) <= len(first.parts) and all(
        a in (b, "*") for a, b in zip(then.parts, first.parts, strict=False)
    )
    return inside and not (
        same and (not then.always or (not then.axis and plain(then.place) == plain(first.place)))
    )


def _meet(one: Path, other: Path) -> bool:
    """Whether two paths mean the same, or one a part of the other."""
    return all(a == b or "*" in (a, b) for a, b in zip(one, other, strict=False))


def _where(then: Setting) -> str:
    return "" if then.always else " in some runs"


def _said(setting: Setting, text: str) -> Problem:
    place = setting.place
    return Problem(
        setting.path, f"{text}.{f' (from {place.origin})' if place.origin else ''}", place.file, place.line
    )


def alike(planned: Mapping[tuple[str, ...], str], axes: Sequence[Axis], file: str) -> list[Problem]:
    """Labels under which the same would be run twice.

    Args:
        planned: what is run by names of values, one per axis; empty where a run is impossible.
        axes: in the order of the names.
        file: of the study, for messages.
    """
    seen: dict[str, tuple[str, ...]] = {}
    found: dict[tuple[Any, ...], Problem] = {}
    for names, digest in planned.items():
        other = seen.setdefault(digest, names) if digest else names
        differ = [(axis, a, b) for axis, a, b in zip(axes, other, names, strict=True) if a != b]
        if differ:
            told = "; ".join(f"{a!r} and {b!r} of the axis {axis.name!r}" for axis, a, b in differ)
            text = f"{told} are one and the same run; leave one out, or change what is wrong in it."
            found.setdefault(
                tuple((axis.name, a, b) for axis, a, b in differ),
                Problem(f"axes.{differ[0][0].name}", text, file, differ[0][0].line),
            )
    return list(found.values())


def not_as_labelled(changes: Iterable[Change], resolved: Mapping[str, Any]) -> Iterator[Problem]:
    """Numbers and truth values that a change gives and the resolved scenario does not have.

    Units and names are written in several ways; numbers are not.
    """
    later: list[Path] = []
    for path, value in reversed([*changes]):
        for parts, given in _leaves(parts_of(path), plain(value)):
            # `clients.*.count: 4, clients.0.count: 1` of one variant: all but the first.
            for has in () if any(_meet(parts, other) for other in later) else _at(resolved, parts):
                if (
                    isinstance(given, (bool, int, float))
                    and isinstance(has, (bool, int, float))
                    and given != has
                ):
                    text = f"is {given!r} in the study, and would be {has!r} in the run; write {has!r}."
                    yield Problem(path, text, value.file, value.line)
        later.append(parts_of(path))


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves((*path, key), inner)
    else:
        yield path, value


def _at(here: Any, path: Path) -> Iterator[Any]:
    """What lies at a path; every item's where it has `*`; nothing where it leads nowhere."""
    if not path:
        yield here
    elif isinstance(here, list):
        for item in (
            here if path[0] == "*" else here[slice(path[0], path[0] + 1)] if isinstance(path[0], int) else ()
        ):
            yield from _at(item, path[1:])
    elif isinstance(here, dict) and path[0] in here:
        yield from _at(here[path[0]], path[1:])
