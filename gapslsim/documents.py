"""YAML and JSON as plain data, within limits: what a document holds is counted before anything is made of it.

With aliases, 700 bytes of YAML stand for a billion values, and a thousand brackets exhaust Python's stack. So a value
counts as often as it is used, and nesting ends at a depth that no sensible file comes near.

The scalars follow the core schema of YAML 1.2, as editors read it: `1e-3` is a number; `yes`, `1:30` and dates
are text.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from functools import partial
from typing import Any, Final

import yaml
from yaml.constructor import ConstructorError

__all__ = [
    "MAX_CHARACTERS", "MAX_DEPTH", "MAX_VALUES", "PREFIX", "Core", "DocumentError", "composed", "is_printable",
    "json_data",
    "number_of", "printable", "yaml_data",
]  # fmt: skip

MAX_CHARACTERS: Final = 16 * 2**20
"""Of one document."""
MAX_VALUES: Final = 300_000
"""Keys and values of a YAML document, those behind an alias counted as often as it is used."""
MAX_DEPTH: Final = 100
"""Mappings and lists inside one another."""
_COUNTED_BEFORE: Final = 200_000
"""Longer texts are counted before nodes are made of them, which take a kilobyte each."""
_SLOW: Final = 1_000_000
"""Longer texts are read by libyaml alone."""
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but for tabs and line breaks, what turns the direction of writing around, halves of characters."""
_NOT_FINITE: Final = (".nan", ".inf", "+.inf", "-.inf")
_LARGEST: Final = 2**64
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]")
_LONG: Final = re.compile(r"\d{19}")


class DocumentError(ValueError):
    """What is wrong with a text, and the fix."""

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what)
        self.line = line
        """From 1; None if it is the whole."""


class Core(yaml.SafeLoader):
    """PyYAML's loader with the scalars of YAML 1.2's core schema; tags are taken for what they are."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Fast(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same by libyaml, eight times as fast."""

    yaml_implicit_resolvers = Core.yaml_implicit_resolvers


PREFIX: Final = "tag:yaml.org,2002:"
"""Of the tags that YAML itself has."""
Core.add_implicit_resolver(f"{PREFIX}null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
Core.add_implicit_resolver(f"{PREFIX}bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
Core.add_implicit_resolver(
    f"{PREFIX}int", re.compile(r"^([-+]?[0-9]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
Core.add_implicit_resolver(
    f"{PREFIX}float",
    re.compile(
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
Core.add_implicit_resolver(f"{PREFIX}merge", re.compile(r"^<<$"), ["<"])


def number_of(text: str, kind: str) -> int | float:
    """A number as YAML writes it.

    Args:
        text: of the scalar.
        kind: `int` or `float`.

    Raises:
        ValueError: if it is none of this kind.
        DocumentError: if it is not finite, or an integer of more than 64 bits, which nothing here takes.
    """
    if _LEADING_ZERO.match(text):
        fix = "write it without the zero in front, which YAML 1.1 takes for octal, or in quotes if it is text"
        raise DocumentError(f"found the number {text:.40}; {fix}")
    if kind == "float":
        value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(value):
            raise DocumentError(f"found {text:.40}; write a finite number")
        return value + 0.0  # a zero without a sign
    # Checked before it is read: Python refuses to read or write integers of some thousand digits.
    if len(text) > 100 or abs(whole := int(text, 16 if text.startswith("0x") else 10)) >= _LARGEST:
        raise DocumentError(f"found the integer {text:.40}; write one of at most 64 bits")
    return whole


def printable(text: str) -> str:
    """The text itself. Raises DocumentError if it holds a sign that a terminal obeys or that no file can hold."""
    if (found := _UNPRINTABLE.search(text)) is not None:
        raise DocumentError(f"found the control character U+{ord(found[0]):04X}; leave it out")
    return text


def is_printable(text: str) -> bool:
    """Whether `printable` takes it."""
    return _UNPRINTABLE.search(text) is None


def _text(loader: Core, node: yaml.ScalarNode) -> str:
    try:
        return printable(str(node.value))
    except DocumentError as error:
        raise DocumentError(str(error), _line(node)) from None


def _number(loader: Core, node: yaml.ScalarNode) -> int | float:
    """Infinity and NaN pass: the bounds of what the number is meant for tell of them with the place."""
    if node.value.lower() in _NOT_FINITE:
        return float(node.value.lower().replace(".", ""))
    try:
        return number_of(str(node.value), node.tag.removeprefix(PREFIX))
    except DocumentError as error:
        raise DocumentError(str(error), _line(node)) from None
    except ValueError:
        raise ConstructorError(None, None, f"{node.value:.40} is no number", node.start_mark) from None


# YAML 1.1 would take 010 for 8; and of its tags some make values that no file here holds: sets, bytes, dates.
Core.yaml_constructors = {
    **{f"{PREFIX}{tag}": Core.yaml_constructors[f"{PREFIX}{tag}"] for tag in ("null", "bool", "seq", "map")},
    f"{PREFIX}str": _text,
    **{f"{PREFIX}{tag}": _number for tag in ("int", "float")},
    None: Core.yaml_constructors[None],
}


def composed(text: str) -> yaml.Node | None:
    """The nodes of a YAML document within the limits; None for an empty one.

    Raises:
        DocumentError: if it is beyond one; names the line.
        yaml.YAMLError: if it is not YAML.
    """
    _check_length(text)
    if len(text) > _COUNTED_BEFORE:
        with suppress(yaml.YAMLError, UnicodeError):
            for n_events, _ in enumerate(yaml.parse(text, Loader=_Fast)):
                if n_events > 2 * MAX_VALUES:
                    raise _too_many(None)
    try:
        node = _node(text)
    except RecursionError:
        raise _too_deep(None) from None
    if isinstance(node, yaml.CollectionNode):
        _Count().of(node, 0)
    return node


def _node(text: str) -> yaml.Node | None:
    """PyYAML's words say better what is wrong than libyaml's, which is lenient with tabs besides."""
    if "\t" not in text or len(text) > _SLOW:
        try:
            fast: yaml.Node | None = yaml.compose(text, Loader=_Fast)
            return fast
        except (yaml.YAMLError, UnicodeError) as error:
            if "nesting depth" in str(error):
                raise _too_deep(None) from None
            if len(text) > _SLOW:
                raise
    slow: yaml.Node | None = yaml.compose(text, Loader=Core)
    return slow


class _Count:
    """Counts values with their aliases written out, each node once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, node: yaml.Node, depth: int) -> tuple[int, int]:
        """How many values a node stands for, and how deep they go. Raises DocumentError beyond a limit."""
        found = self._known.get(id(node))
        if found is None:
            if depth > MAX_DEPTH:
                raise _too_deep(_line(node))
            self._known[id(node)] = (1, 0)  # for an alias inside what it stands for
            pairs = (
                node.value
                if isinstance(node, yaml.SequenceNode)
                else [p for pair in node.value for p in pair]
            )
            below = [self.of(part, depth + 1) for part in pairs if isinstance(part, yaml.CollectionNode)]
            n_values = 1 + len(pairs) - len(below) + sum(n for n, _ in below)
            found = self._known[id(node)] = n_values, 1 + max((high for _, high in below), default=0)
        if depth + found[1] > MAX_DEPTH:
            raise _too_deep(_line(node))
        if found[0] > MAX_VALUES:
            raise _too_many(_line(node))
        return found


def _line(node: yaml.Node) -> int | None:
    return node.start_mark.line + 1 if node.start_mark is not None else None


def yaml_data(text: str) -> Any:
    """A YAML document as plain values; of two equal keys the last.

    Raises:
        DocumentError: if it is not YAML, or beyond a limit.
    """
    loader = Core("")
    try:
        node = composed(text)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        raise DocumentError(f"not YAML: {what}", mark.line + 1 if mark is not None else None) from error
    finally:
        loader.dispose()


def json_data(text: str, longest: int = MAX_CHARACTERS, *, finite: bool = True) -> Any:
    """A JSON document as plain values.

    Args:
        text: the document.
        longest: most characters.
        finite: whether NaN and infinity are refused here; else whoever reads it says where they are.

    Raises:
        DocumentError: if it is not JSON, or beyond a limit.
    """
    _check_length(text, longest)

    def refuse(constant: str) -> Any:
        raise DocumentError(f"found {constant}; write a finite number")

    try:
        # Only where some are long: reading each integer here takes several times as long.
        read = partial(number_of, kind="int") if _LONG.search(text) else None
        data = json.loads(text, parse_constant=refuse if finite else float, parse_int=read)
    except json.JSONDecodeError as error:
        raise DocumentError(f"it is no JSON: {error.msg}", error.lineno) from error
    except RecursionError:
        raise _too_deep(None) from None
    layer = [data] if isinstance(data, (dict, list)) else []
    for _ in range(MAX_DEPTH + 1):
        inner = (part.values() if isinstance(part, dict) else part for part in layer)
        layer = [part for parts in inner for part in parts if isinstance(part, (dict, list))]
    if layer:
        raise _too_deep(None)
    return data


def _check_length(text: str, longest: int = MAX_CHARACTERS) -> None:
    if len(text) > longest:
        raise DocumentError(f"it has {len(text):,} characters; the most is {longest:,}: divide the file")


def _too_deep(line: int | None) -> DocumentError:
    return DocumentError(f"it nests lists or mappings deeper than {MAX_DEPTH} levels; write it flatter", line)


def _too_many(line: int | None) -> DocumentError:
    fix = "what an alias (*name) stands for counts each time: use fewer, or divide the file"
    return DocumentError(f"it holds more than {MAX_VALUES:,} values; {fix}", line)
