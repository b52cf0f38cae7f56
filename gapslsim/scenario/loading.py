"""Reads scenario files: bases, `--set` overrides, and every mistake at once with its place.

A file may say `base: other.yaml` (relative to itself, or a shipped scenario's name): it is laid upon that file, mapping
by mapping. Overrides come last: `load(path, set=["framework.eta=0.3", "clients.0.count=5"])`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import Problem, did_you_mean
from gapslsim.kernels import choose
from gapslsim.regular_files import exists, is_file, read_text, real_path
from gapslsim.scenario.presets import LINKS
from gapslsim.scenario.problems import explain, place, raise_if_any, stray_words
from gapslsim.scenario.schema import OwnComponents, Scenario
from gapslsim.scenario.shipped import find_scenario, shipped_scenarios
from gapslsim.scenario.tree import Path, Tree, dotted, merge, parse, tree_of
from gapslsim.scenario.tree import plain as plain_of
from gapslsim.units import STRICT_UNITS, whole_number

__all__ = ["Source", "is_yaml", "load", "load_dict", "loads", "parts_of", "read", "read_override", "vary"]


def load(
    path: str | FilePath,
    *,
    set: Iterable[str] = (),
    deep: bool = False,
    inputs: bool = False,
    dry: bool = False,
) -> Scenario:
    """A scenario from a file, or from the name of one that is shipped.

    Args:
        path: a YAML file; a bare name such as `quickstart` means the shipped scenario.
        set: overrides, `dotted.path=value`, the value being YAML; a list index is a part of the path, `*` every item.
        deep: also run the checks that read labels and build the model's shape (`checks.check_deep`).
        inputs: let these read every input of the data set as well.
        dry: let these do without data files where labels and shapes are known.

    Raises:
        ScenarioError: lists every problem with file, line, path, value and fix.
    """
    file = find_scenario(path)
    tree, problems = _read_file(file, _label(file), ())
    return _finish(tree, problems, set, deep, file.parent, inputs, dry)


def loads(
    text: str,
    *,
    file: str = "<text>",
    set: Iterable[str] = (),
    deep: bool = False,
) -> Scenario:
    """A scenario from YAML text; a `base` is looked for in the working directory."""
    tree, problems = _read_text(text, file, FilePath(), ())
    return _finish(tree, problems, set, deep)


def load_dict(data: dict[str, Any], *, set: Iterable[str] = (), deep: bool = False) -> Scenario:
    """A scenario from plain dicts and lists, under the rules of files: quantities need their units."""
    return _finish(tree_of(data), [], set, deep)


@dataclass(frozen=True)
class Source:
    """A scenario file as it was read, with its bases; not yet checked."""

    tree: Tree
    problems: tuple[Problem, ...]
    folder: FilePath


def read(path: str | FilePath, *, set: Iterable[str] = ()) -> Source:
    """Reads a scenario file, or the shipped one of that name, so that variants of it can be made.

    Args:
        path: see `load`.
        set: see `load`.

    Raises:
        ScenarioError: if there is no such file.
    """
    file = find_scenario(path)
    tree, problems = _read_file(file, _label(file), ())
    if tree.value is not None:
        for override in set:
            tree, found = _override(tree, override)
            problems += found
    return Source(tree, tuple(problems), file.parent)


def vary(source: Source, changes: Iterable[tuple[str, Tree]], *, deep: bool = False) -> Scenario:
    """A scenario from one that was read and changes of it; each value replaces what lies at its path.

    Args:
        source: from `read`.
        changes: dotted path and value; `*` in place of an index means every item of the list.
        deep: see `load`.

    Raises:
        ScenarioError: lists every problem, those of a change with the place that its value comes from.
    """
    tree, problems = source.tree, list(source.problems)
    raise_if_any(p for p in problems if tree.value is None)
    for name, value in changes:
        try:
            tree = _put_everywhere(tree, parts_of(name), value)
        except LookupError as error:
            problems.append(Problem(name, str(error.args[0]), value.file, value.line))
    return _finish(tree, problems, (), deep, source.folder)


def _put_everywhere(tree: Tree, parts: Path, value: Tree) -> Tree:
    """A copy of the tree with the value at every path that is meant."""
    for path in _spread(tree, parts, 0):
        tree = _put(tree, path, 0, value)
    return tree


def _spread(tree: Tree, parts: Path, depth: int) -> list[Path]:
    """The paths that a path with `*` means."""
    if "*" not in parts[depth:]:
        return [parts]
    at = parts.index("*", depth)
    found = tree.at(parts[:at])
    if not isinstance(found.value, list):
        raise LookupError(f"'*' stands for the items of a list; {dotted(parts[:at])} is none.")
    spread = [(*parts[:at], index, *parts[at + 1 :]) for index in range(len(found.value))]
    return [path for each in spread for path in _spread(tree, each, at + 1)]


def _finish(
    tree: Tree,
    problems: list[Problem],
    overrides: Iterable[str],
    deep: bool,
    folder: FilePath | None = None,
    inputs: bool = False,
    dry: bool = False,
) -> Scenario:
    raise_if_any(p for p in problems if tree.value is None)
    for override in overrides:
        tree, found = _override(tree, override)
        problems.extend(found)
    context = STRICT_UNITS if folder is None else {**STRICT_UNITS, "folder": str(folder)}
    _choose_kernels(tree)
    _load_own(tree, context)
    scenario: Scenario | None = None
    try:
        scenario = TypeAdapter(Scenario).validate_python(plain_of(tree), context=context)
        problems.extend(stray_words(tree, scenario))
    except ValidationError as error:
        told = {(problem.line, problem.path) for problem in problems}
        problems.extend(p for p in explain(error, Scenario, tree) if (p.line, p.path) not in told)
    raise_if_any(problems)
    assert scenario is not None
    from gapslsim.scenario import checks

    findings = checks.check(scenario)
    if deep and not findings:
        findings = checks.check_deep(scenario, inputs=inputs, dry=dry)
    raise_if_any(place(tree, path, message) for path, message in findings)
    return scenario


def _load_own(tree: Tree, context: dict[str, str]) -> None:
    """Loads the user's own components, before what names them is read; what is wrong with them is told there."""
    with suppress(ValidationError):
        TypeAdapter(tuple[OwnComponents, ...] | None).validate_python(
            plain_of(tree).get("components"), context=context
        )


def _choose_kernels(tree: Tree) -> None:
    """Before anything, an own component for instance, imports torch."""
    training = plain_of(tree).get("training")
    given = training.get("kernels", "pinned") if isinstance(training, dict) else "pinned"
    choose("native" if given == "native" else "pinned")


def _label(file: FilePath) -> str:
    """What messages call a file: relative to the working directory where it lies below."""
    here = FilePath.cwd()
    return str(file.relative_to(here)) if file.is_absolute() and file.is_relative_to(here) else str(file)


def _read_file(file: FilePath, label: str, chain: tuple[FilePath, ...]) -> tuple[Tree, list[Problem]]:
    try:
        text = read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        return Tree(None, label), [Problem("", f"cannot be read as UTF-8 text: {error}.", label)]
    return _read_text(text, label, file.parent, (*chain, real_path(file)))


def _read_text(
    text: str, label: str, folder: FilePath, chain: tuple[FilePath, ...]
) -> tuple[Tree, list[Problem]]:
    tree, problems = parse(text, label)
    if not isinstance(tree.value, dict):
        if not problems:
            # Not what it holds: it may be a file that is nobody's business, named as a base.
            found = "is empty" if tree.value is None else "holds no mapping"
            fix = "write a mapping, 'key: value' lines; 'gapslsim show scenario quickstart' prints one to start from"
            problems = [Problem("", f"the file {found}; {fix}.", label, tree.line)]
        return Tree(None, label), problems
    given = tree.value.pop("base", None)
    if given is None:
        return tree, problems
    base, found_in_base = _read_base(given, label, folder, chain)
    both = merge(base, tree) if base.value is not None else Tree(None, label)
    return both, [*found_in_base, *problems]


def is_yaml(file: FilePath) -> bool:
    """Whether a file that a scenario or study names is called so. What is wrong in another's text is told to nobody."""
    return file.suffix.lower() in (".yaml", ".yml")


def _read_base(
    given: Tree, label: str, folder: FilePath, chain: tuple[FilePath, ...]
) -> tuple[Tree, list[Problem]]:

    def wrong(message: str) -> tuple[Tree, list[Problem]]:
        return Tree(None, label), [Problem("base", message, label, given.line)]

    if not isinstance(given.value, str):
        return wrong(f"found {plain_of(given)!r:.60}; write the name of one file, for instance 'fleet.yaml'.")
    shipped = shipped_scenarios()
    file = folder / given.value
    if not is_file(file):
        file = shipped.get(given.value, file)
    if real_path(file) in chain:
        names = " -> ".join(part.name for part in (*chain, file))
        return wrong(f"the bases go round in a circle: {names}; remove one of them.")
    if not is_file(file):
        hint = did_you_mean(given.value, [*(other.name for other in folder.glob("*.y*ml")), *shipped])
        fix = "write a file's name, relative to this file, or that of a shipped scenario"
        return wrong(f"there is no file {str(file)!r:.200}; {fix}.{hint}")
    if not is_yaml(file):
        return wrong(
            f"{str(file)!r:.200} is called neither .yaml nor .yml, so that it is not read as one; rename it."
        )
    tree, problems = _read_file(file, _label(file), chain)
    elsewhere = real_path(file.parent) != real_path(folder)
    return (_from_home(tree, file.parent) if elsewhere else tree), problems


def _from_home(tree: Tree, folder: FilePath) -> Tree:
    """The same with names of files beside a base as whole paths: what is laid upon it may lie in another folder."""
    value = tree.value
    if isinstance(value, dict):
        value = {key: _from_home(inner, folder) for key, inner in value.items()}
    elif isinstance(value, list):
        value = [_from_home(inner, folder) for inner in value]
    elif isinstance(value, str) and ("/" in value or FilePath(value).suffix):
        value = str(real_path(folder / value)) if exists(folder / value) else value
    return replace(tree, value=value)


_QUOTED = 100
"""Characters of an override that messages repeat."""
_INDEX = re.compile(r"\[(\d+)\]")


def read_override(text: str, file: str | None) -> tuple[str, Tree, list[Problem]]:
    """Dotted path and value of `path=value`, or what is wrong with it."""
    origin = f"--set {text if len(text) <= _QUOTED else text[: _QUOTED - 3] + '...'}"
    name, equals, written = text.partition("=")
    name = _INDEX.sub(r".\1", name.strip())
    if not equals or "" in name.split("."):
        example = "write it as path=value, for instance --set framework.eta=0.3"
        wrong = Problem("", f"{text[:_QUOTED]!r} is no override; {example} (from {origin}).", file)
        return name, Tree(None, file, None, origin), [wrong]
    value, problems = parse(written, file, origin=origin)
    found = Tree(value.value, file, None, origin)
    return name, found, [Problem(name, problem.message, file) for problem in problems]


def _override(root: Tree, text: str) -> tuple[Tree, list[Problem]]:
    """Lays `path=value` upon the tree."""
    name, value, problems = read_override(text, root.file)
    if problems:
        return root, problems
    try:
        return _put_everywhere(root, parts_of(name), value), []
    except LookupError as error:
        return root, [Problem(name, f"{error.args[0]} (from {value.origin})", root.file)]


def parts_of(name: str) -> Path:
    """Keys and indices of `clients.0.count`, which `clients[0].count` means too."""
    parts = _INDEX.sub(r".\1", name.strip()).split(".")
    return tuple(part if (index := whole_number(part)) is None else index for part in parts)


def _put(tree: Tree, parts: Path, depth: int, value: Tree) -> Tree:
    """A copy of the tree with the value at `parts[depth:]`; a bare component name is opened into a mapping."""
    if depth == len(parts):
        return value
    part = parts[depth]
    here = dotted(parts[:depth]) or "the scenario"
    if isinstance(tree.value, list):
        if not isinstance(part, int) or part >= len(tree.value):
            raise LookupError(f"{here} is a list with indices 0 to {len(tree.value) - 1}; found {part!r}.")
        items = list(tree.value)
        items[part] = _put(items[part], parts, depth + 1, value)
        return Tree(items, tree.file, tree.line, tree.origin)
    known: dict[str, Tree]
    if tree.value is None:
        known = {}
    elif isinstance(tree.value, dict):
        known = dict(tree.value)
    elif isinstance(tree.value, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]*", tree.value):
        known = _opened(tree, parts[:depth])
    else:
        raise LookupError(f"{here} is {plain_of(tree)!r}, not a mapping; set {here} as a whole.")
    key = str(part)
    known[key] = _put(known.get(key, Tree(None, tree.file, tree.line)), parts, depth + 1, value)
    return Tree(known, tree.file, tree.line, tree.origin)


def _opened(tree: Tree, path: Path) -> dict[str, Tree]:
    """The mapping that a bare name stands for: a link preset, or a component without settings."""
    if path[-1] == "link" and tree.value in LINKS:
        preset = LINKS[tree.value]
        return {
            key: Tree(getattr(preset, key), tree.file, tree.line, tree.origin)
            for key in ("uplink", "downlink", "latency")
        }
    return {"optimizer" if path[0] == "training" and len(path) == 2 else "kind": tree}
