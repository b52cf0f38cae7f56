"""YAML as a tree in which every value knows its file and line.

Anchors and `<<` merges work. Duplicate keys, NaN, infinity, YAML's tags and what is beyond the limits of
`gapslsim.documents` are problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from gapslsim.documents import PREFIX, DocumentError, composed, number_of, printable
from gapslsim.errors import Problem

__all__ = ["Path", "Tree", "dotted", "merge", "parse", "plain", "tree_of"]

Path = tuple[str | int, ...]
"""Keys and list indices from the root, for instance ("clients", 0, "count")."""


def dotted(path: Path) -> str:
    """`clients.0.count`."""
    return ".".join(map(str, path))


@dataclass(frozen=True)
class Tree:
    """A scalar, a dict of trees or a list of trees, with its place."""

    value: Any
    file: str | None = None
    line: int | None = None
    origin: str = ""
    """Said behind the message, for instance `--set seed=x`; empty for what is in a file."""

    def at(self, path: Path) -> Tree:
        """The deepest tree on the way along `path` that exists."""
        here = self
        for part in path:
            inner = here.value
            if isinstance(inner, dict):
                found = inner.get(part)
            else:
                found = inner[part] if isinstance(part, int) and _has(inner, part) else None
            if found is None:
                break
            here = found
        return here

    def scalar_on(self, path: Path) -> Path | None:
        """The part of `path` that ends at a scalar, if it goes on behind one; None if not."""
        for depth in range(len(path)):
            value = self.at(path[:depth]).value
            if value is not None and not isinstance(value, (dict, list)):
                return path[:depth]
        return None


def _has(value: object, index: int) -> bool:
    return isinstance(value, list) and 0 <= index < len(value)


def parse(text: str, file: str | None, first_line: int = 1, origin: str = "") -> tuple[Tree, list[Problem]]:
    """Reads one YAML document.

    Returns:
        The tree (its value is None if nothing could be read) and the problems found.
    """
    reader = _Reader(file, first_line, origin)
    try:
        node = composed(text)
    except yaml.YAMLError as error:
        reader.syntax(error)
        node = None
    except DocumentError as error:
        reader.limit(error)
        node = None
    return (reader.read(node, ()) if node is not None else Tree(None, file, None, origin)), reader.problems


class _Reader:
    """Turns PyYAML's nodes into trees and collects problems."""

    def __init__(self, file: str | None, first_line: int, origin: str) -> None:
        self.problems: list[Problem] = []
        self._file, self._first, self._origin = file, first_line, origin
        self._open: set[int] = set()

    def syntax(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
        fix = "check indentation, colons and brackets here and on the line above"
        if "'\\t'" in what or "\\t" in what:
            fix = "indent with spaces: YAML allows no tabs"
        elif "single document" in str(getattr(error, "context", "")):
            what, fix = "a second document begins", "keep one scenario per file, without '---' in between"
        line = mark.line + self._first if mark is not None else None
        self._add((), f"not YAML: {what}; {fix}.", line)

    def limit(self, error: DocumentError) -> None:
        self._add((), f"{error}.", error.line + self._first - 1 if error.line is not None else None)

    def read(self, node: yaml.Node, path: Path) -> Tree:
        if id(node) in self._open:
            self._add(path, "an alias contains itself; write the value out.", self._line(node))
            return self._tree(None, node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._tree(self._mapping(node, path), node)
            if isinstance(node, yaml.SequenceNode):
                return self._tree([self.read(n, (*path, i)) for i, n in enumerate(node.value)], node)
            return self._tree(self._scalar(node, path), node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Tree]:
        own: dict[str, Tree] = {}
        merged: dict[str, Tree] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{PREFIX}merge":
                for key, value in self._sources(value_node, path).items():
                    merged.setdefault(key, value)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._add(path, "a key must be text, not a list or mapping.", self._line(key_node))
                continue
            try:
                key = printable(key_node.value)
            except DocumentError as error:
                self._add(path, f"a key: {error}.", self._line(key_node))
                continue
            value = self.read(value_node, (*path, key))
            if key in own:
                message = f"the key {key!r} is given twice (first in line {own[key].line}); keep one."
                self._add((*path, key), message, self._line(key_node))
            # A value on the lines below its key is reported where the key is.
            own[key] = Tree(value.value, value.file, self._line(key_node), self._origin)
        return merged | own

    def _sources(self, node: yaml.Node, path: Path) -> dict[str, Tree]:
        """What `<<: *anchor` or `<<: [*a, *b]` merges in; of two, the first wins."""
        result: dict[str, Tree] = {}
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(part, yaml.MappingNode):
                result = (self.read(part, path).value or {}) | result
            else:
                self._add(path, "'<<' takes a mapping, for instance '<<: *fleet'.", self._line(part))
        return result

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        tag, text = node.tag.removeprefix(PREFIX), str(node.value)
        if tag == "null":
            return None
        if tag == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        message = f"the tag {node.tag!r} is not supported; write plain YAML."
        try:
            if tag == "str":
                return printable(text)
            if tag in ("int", "float"):
                return number_of(text, tag)
        except DocumentError as error:
            message = f"{error}."
        except ValueError:  # as in `!!int two`
            pass
        self._add(path, message, self._line(node))
        return None

    def _tree(self, value: object, node: yaml.Node) -> Tree:
        return Tree(value, self._file, self._line(node), self._origin)

    def _line(self, node: yaml.Node) -> int | None:
        return None if self._origin else node.start_mark.line + self._first

    def _add(self, path: Path, message: str, line: int | None) -> None:
        suffix = f" (from {self._origin})" if self._origin else ""
        self.problems.append(
            Problem(dotted(path), message + suffix, self._file, None if self._origin else line)
        )


def tree_of(data: object, file: str | None = None) -> Tree:
    """A tree without places from plain dicts, lists and scalars."""
    if isinstance(data, dict):
        return Tree({str(key): tree_of(value, file) for key, value in data.items()}, file)
    if isinstance(data, (list, tuple)):
        return Tree([tree_of(value, file) for value in data], file)
    return Tree(data, file)


def plain(tree: Tree) -> Any:
    """The values without their places."""
    if isinstance(tree.value, dict):
        return {key: plain(value) for key, value in tree.value.items()}
    if isinstance(tree.value, list):
        return [plain(value) for value in tree.value]
    return tree.value


def merge(base: Tree, over: Tree) -> Tree:
    """`over` laid upon `base`: mappings key by key, all else replaced as a whole.

    A mapping that names another component (another `kind` or `optimizer`) replaces its counterpart wholly,
    since the settings of one mean nothing to the other.
    """
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    for tag in ("kind", "optimizer"):
        if tag in over.value and plain(over.value[tag]) != _tag(base, tag):
            return over
    both = dict(base.value)
    for key, value in over.value.items():
        both[key] = merge(both[key], value) if key in both else value
    return Tree(both, over.file, over.line, over.origin)


def _tag(tree: Tree, tag: str) -> object:
    found = tree.value.get(tag)
    return found.value if found is not None else None
