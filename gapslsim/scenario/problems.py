"""Turns what pydantic found into problems with file, line, path, value and fix."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from pydantic import ValidationError

from gapslsim.bounds import LARGEST
from gapslsim.errors import Problem, ScenarioError, did_you_mean
from gapslsim.scenario.fields import (
    Spot,
    attribute_of,
    fields_of,
    first_sentence,
    locate,
    meanings_of,
    type_words,
)
from gapslsim.scenario.tree import Path, Tree, dotted

__all__ = ["explain", "place", "pointed_at", "raise_if_any", "stray_words"]

MAX_SHOWN = 12
"""Problems shown at once, so that they fit one screen."""
_MAX_EXPLAINED = 500
"""Complaints that are put into words: each takes a millisecond, and a file may hold a hundred thousand."""


def place(root: Tree, path: Path, message: str) -> Problem:
    """A problem at the line of the deepest part of `path` that is written."""
    here = root.at(path)
    suffix = f" (from {here.origin})" if here.origin else ""
    return Problem(dotted(path), message + suffix, here.file, here.line)


def raise_if_any(problems: Iterable[Problem]) -> None:
    """Raises ScenarioError with the first dozen problems, in the order of the file, and the count of the rest."""
    found = sorted(dict.fromkeys(problems), key=lambda p: (p.file or "", p.line or 0))
    if not found:
        return
    rest = len(found) - MAX_SHOWN
    more = [Problem("", f"... and {rest} more; mend these first.")] if rest > 0 else []
    raise ScenarioError([*found[:MAX_SHOWN], *more])


def explain(error: ValidationError, schema: type[Any], root: Tree) -> list[Problem]:
    """One problem per mistake; several complaints about one value (an untagged union) become one."""
    grouped: dict[Path, list[str]] = {}
    for item in error.errors(include_url=False)[:_MAX_EXPLAINED]:
        if (
            item["type"] == "default_factory_not_called"
        ):  # the value it starts from is wrong and reported itself
            continue
        if item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"]:
            continue  # long enough, but its items are wrong and reported themselves
        path, message = _say(item, locate(schema, item["loc"]), root)
        grouped.setdefault(path, []).append(message)
    return [place(root, path, "; or: ".join(dict.fromkeys(texts))) for path, texts in grouped.items()]


def _say(item: Any, spot: Spot, root: Tree) -> tuple[Path, str]:
    kind, value, message = item["type"], item["input"], str(item["msg"])
    path = spot.path
    if kind in ("missing", "missing_keyword_only_argument", "missing_argument"):
        bare = root.scalar_on(path)
        if bare is not None:  # a component's bare name, which stands for a mapping
            tag = "optimizer" if spot.owner is not None and "optimizer" in fields_of(spot.owner) else "kind"
            takes = type_words(spot.field) if spot.field is not None else "..."
            name = root.at(bare).value
            return bare, f"{path[-1]!r} is missing; write '{{{tag}: {name}, {path[-1]}: <{takes}>}}'."
        return path, _missing(str(path[-1]), spot)
    path = root.scalar_on(path) or path
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return path, _unknown_key(str(path[-1]), spot)
    if kind in ("component_kind_missing", "component_kind_unknown"):
        tag = spot.family.tag if spot.family is not None else "kind"
        inside = isinstance(value, dict) and tag in value
        return ((*path, tag) if inside else path), _sentence(message)
    if kind == "union_tag_not_found" and spot.family is not None:
        kinds = ", ".join(spot.family)
        return path, f"found {_show(value)}; write a mapping with '{spot.family.tag}', one of: {kinds}."
    if kind == "dataclass_type":
        keys = ", ".join(fields_of(spot.cls)) if spot.cls is not None else ""
        return path, f"found {_show(value)}; write a mapping with keys of: {keys}."
    if kind == "too_short":
        return path, f"found {_show(value)}; write a list of at least {item['ctx']['min_length']}."
    if re.match(r"\w+ should ", message) is None:  # our own words
        text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return (*path, *pointed_at(spot.cls, text)), _sentence(text)
    limit = item.get("ctx", {}).get("le", item.get("ctx", {}).get("ge"))
    if isinstance(limit, (int, float)) and abs(limit) in LARGEST.values():
        side = "most" if limit > 0 else "least"
        return path, f"found {_show(value)}; write at {side} {limit:g}, where every number of this kind ends."
    rule = re.sub(r"^\w+ should", "it must", message).replace("a valid tuple", "a list").rstrip(".")
    return path, f"found {_show(value)}; {rule}{_takes(spot)}."


def pointed_at(cls: type[Any] | None, text: str) -> Path:
    """The setting that a message begins with, for instance `k_min must not be above k_max`; empty if none."""
    first = text.partition(" ")[0].rstrip(":").split(".")
    return tuple(first) if cls is not None and first[0] in fields_of(cls) else ()


def _sentence(text: str) -> str:
    text = text.rstrip(". ")
    return text if text.endswith("?") else f"{text}."


def _unknown_key(name: str, spot: Spot) -> str:
    if spot.owner is None:
        return "unknown key."
    known = sorted(fields_of(spot.owner))
    hint = did_you_mean(name, known)
    return f"unknown key.{hint} Allowed here: {', '.join(known)}."


def _missing(name: str, spot: Spot) -> str:
    if spot.field is None:
        return "is missing; add it."
    about = first_sentence(meanings_of(spot.owner).get(name) if spot.owner else "").rstrip(".")
    kinds = f", one of: {', '.join(spot.family)}" if spot.family is not None else ""
    return f"is missing; add '{name}: <{type_words(spot.field)}>'{kinds}{f' ({about})' if about else ''}."


def _takes(spot: Spot) -> str:
    """The default as an example of a value that is right."""
    if spot.field is None or spot.field.is_required():
        return ""
    default = spot.field.default
    plain = isinstance(default, (int, float, str)) and not isinstance(default, bool)
    return f" (the default is {default})" if plain else ""


def _show(value: object) -> str:
    """At most 60 signs; of a long list or mapping no more than that is looked at."""
    text = "nothing" if value is None else repr(_beginning(value, 3))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _beginning(value: Any, depth: int) -> Any:
    if not isinstance(value, (dict, list)) or not value:
        return value
    if depth == 0:
        return ...
    if isinstance(value, list):
        return [_beginning(inner, depth - 1) for inner in value[:20]]
    return {key: _beginning(inner, depth - 1) for key, inner in islice(value.items(), 20)}


_BARE: Final = re.compile(r"[-+\d._eE\s]+")
"""A number without a unit."""


def stray_words(root: Tree, settings: object) -> list[Problem]:
    """`count: true` would pass as 1, and `count: '5'` and `1_000` as numbers; this finds them.

    Args:
        root: what was written.
        settings: what it was read as.
    """
    found: list[Problem] = []

    def compare(tree: Tree, value: object, path: Path) -> None:
        if isinstance(tree.value, (bool, str)):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                if isinstance(tree.value, bool):
                    found.append(place(root, path, f"found {str(tree.value).lower()}; write a number."))
                elif _BARE.fullmatch(tree.value):
                    text = "write the number without quotes and underscores"
                    found.append(place(root, path, f"found the text {tree.value!r}; {text}."))
        elif isinstance(tree.value, dict):
            for key, inner in tree.value.items():
                if dataclasses.is_dataclass(value):
                    compare(inner, getattr(value, attribute_of(type(value), key), None), (*path, key))
                elif isinstance(value, dict):
                    compare(inner, value.get(key), (*path, key))
        elif isinstance(tree.value, list) and isinstance(value, (list, tuple)):
            for index, (inner, item) in enumerate(zip(tree.value, value, strict=False)):
                compare(inner, item, (*path, index))

    compare(root, settings, ())
    return found
