"""Reads and writes profile files; every problem of a file is reported at once, with its line and path."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gapslsim.documents import DocumentError, composed, yaml_data
from gapslsim.errors import ComponentError, Problem, did_you_mean
from gapslsim.hardware import profile as schema
from gapslsim.hardware.cost_model import cost_models
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import Profile, profile_schema
from gapslsim.regular_files import read_text
from gapslsim.units import STRICT_UNITS
from gapslsim.whole_files import whole_file

__all__ = ["ProfileError", "profile_text", "read_profile", "write_profile"]

_Path = tuple[str | int, ...]
_SECTIONS = ("memory", "cost_model", "jitter", "power", "overheads")
_OF_A_FIGURE = {"value", "low", "high"}


class ProfileError(ComponentError):
    """A profile file that is wrong; lists every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def read_profile(path: Path) -> Profile:
    """Reads and checks a profile file.

    Raises:
        ComponentError: if there is no such file or it cannot be read.
        ProfileError: if it is not a correct profile; lists every problem with file, line and path.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ComponentError(f"{path}: cannot read the profile: {error}.") from error
    # PyYAML takes the last of two equal keys in silence and forgets lines; both matter to whoever edits.
    try:
        data, node = yaml_data(text), composed(text)
    except DocumentError as error:
        is_ = "is " if str(error).startswith("not ") else ""
        raise ProfileError([Problem("", f"{is_}{error}", str(path), error.line)]) from error
    written = _Lines(node)
    problems = [Problem(_dotted(where), why, str(path), line) for where, why, line in written.duplicates]
    if not isinstance(data, dict):
        problems.append(Problem("", "is not a mapping; begin with 'name: my-device'", str(path), 1))
        raise ProfileError(problems)
    # Before validation: a mode may give one number of a section whose others are required.
    resolved = _inherit(data)
    try:
        profile = profile_schema().validate_python(resolved, context=STRICT_UNITS)
    except ValidationError as error:
        problems += _problems(error.errors(include_url=False), data, resolved, written.lines, path)
        raise ProfileError(problems) from error
    if problems:
        raise ProfileError(problems)
    return profile


def write_profile(profile: Profile, path: Path) -> None:
    """Writes a profile so that `read_profile` gives it back equal, and writing that gives the same bytes."""
    with whole_file(path) as file:
        file.write(profile_text(profile).encode())


def profile_text(profile: Profile) -> str:
    """The YAML text of a profile, with units; what modes inherit is left out."""
    data = profile_schema().dump_python(profile, mode="json", exclude_none=True)
    for mode in data["modes"].values():
        for section in _SECTIONS:
            if section in mode:
                mode[section] = _beyond(data.get(section), mode[section])
    if not data["modes"]:
        del data["modes"]
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Safe dumper that writes lists of numbers in one line: the points of a lookup."""


def _represent_list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    """A sequence; in one line if it holds numbers alone."""
    numbers = bool(data) and all(isinstance(one, (int, float)) for one in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=numbers)


_Dumper.add_representer(list, _represent_list)


class _Lines:
    """Keeps the line of every path and notes keys given twice."""

    def __init__(self, node: yaml.Node | None) -> None:
        self.lines: dict[_Path, int] = {}
        self.duplicates: list[tuple[_Path, str, int]] = []
        self._seen: set[int] = set()
        if node is not None:
            self._note(node, ())

    def _note(self, node: yaml.Node, path: _Path) -> None:
        self.lines.setdefault(path, node.start_mark.line + 1)
        # An alias leads to a node that was noted at its anchor; a cyclic one would never end.
        if id(node) in self._seen:
            return  # an alias
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*path, str(key.value))
                line = key.start_mark.line + 1
                if inner in self.lines:
                    why = f"is given twice, first in line {self.lines[inner]}; keep one"
                    self.duplicates.append((inner, why, line))
                else:
                    self.lines[inner] = line
                    self._note(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._note(item, (*path, index))


def _inherit(data: dict[Hashable, Any]) -> dict[Hashable, Any]:
    """Fills in what the sections of modes leave out."""
    modes = data.get("modes")
    if not isinstance(modes, dict):
        return data
    filled: dict[Hashable, Any] = {}
    for name, mode in modes.items():
        if isinstance(mode, dict):
            mode = {
                key: _merge(data.get(key), value) if key in _SECTIONS else value
                for key, value in mode.items()
            }
        filled[name] = mode
    return {**data, "modes": filled}


def _merge(base: Any, change: Any) -> Any:
    """`change` laid over `base`; a number (with its source) or a component of another kind replaces the whole."""
    both = isinstance(base, dict) and isinstance(change, dict)
    if not both or change.keys() & _OF_A_FIGURE or change.get("kind", base.get("kind")) != base.get("kind"):
        return change
    return {**base, **{key: _merge(base.get(key), value) for key, value in change.items()}}


def _beyond(base: Any, changed: Any) -> Any:
    """What has to be laid over `base` to give `changed`: the inverse of `_merge`."""
    both = isinstance(base, dict) and isinstance(changed, dict)
    if not both or changed.keys() & _OF_A_FIGURE or changed.get("kind") != base.get("kind"):
        return changed
    return {key: _beyond(base.get(key), value) for key, value in changed.items() if value != base.get(key)}


def _problems(
    errors: list[ErrorDetails], data: dict[Hashable, Any], resolved: Any, lines: dict[_Path, int], path: Path
) -> list[Problem]:
    found = [(_real_path(error["loc"], resolved), _message(error)) for error in errors]
    own = {(where, why) for where, why in found if where[:1] != ("modes",)}
    # A wrong number of the profile is copied into each mode, but the user wrote it once.
    told = [(where, why) for where, why in found if where[:1] != ("modes",) or (where[2:], why) not in own]
    problems = [Problem(_dotted(where), why, str(path), _line(where, lines)) for where, why in told]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _real_path(loc: tuple[int | str, ...], data: Any) -> _Path:
    """The place in the file: pydantic's location without the kinds that it inserts."""
    path: list[str | int] = []
    for depth, key in enumerate(loc):
        inside = (isinstance(data, dict) and key in data) or (
            isinstance(data, list) and isinstance(key, int) and key < len(data)
        )
        if inside:
            data = data[key]
            path.append(key)
        elif depth == len(loc) - 1 and key not in cost_models and key != "[key]":
            path.append(key)
    return tuple(path)


def _line(path: _Path, lines: dict[_Path, int]) -> int | None:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _dotted(path: _Path) -> str:
    return ".".join(str(key) for key in path)


def _message(error: ErrorDetails) -> str:
    """Pydantic's error in our words: rule, value found, fix."""
    value, kind = error["input"], error["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key.{did_you_mean(str(error['loc'][-1]), _known_keys())}"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "is missing; add it"
    if kind in ("dataclass_type", "dict_type"):
        if isinstance(value, (str, int, float)):
            return f"is {value!r}, a bare value; write {{value: ..., status: ..., source: ...}}"
        return f"must be a mapping, found {value!r}"
    if kind == "string_too_short":
        return "is empty; say it in words (a source names the data and rows, or the assumption made)"
    if kind == "string_pattern_mismatch":
        return f"must be lower-case words joined by hyphens, for instance 'jetson-nano', found {value!r}"
    if kind in ("quantity", "component_kind_missing", "component_kind_unknown"):
        return error["msg"]
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    return f"{error['msg'].replace('Input', 'it', 1)}, found {value!r}"


def _known_keys() -> set[str]:
    classes: list[Any] = [getattr(schema, name) for name in schema.__all__ if name != "profile_schema"]
    classes += [Figure, *(cost_models[kind] for kind in cost_models)]
    return {field.name for cls in classes for field in dataclasses.fields(cls)}
