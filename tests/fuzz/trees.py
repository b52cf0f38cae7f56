"""Changes to what a YAML or JSON file holds: keys and values dropped, doubled, replaced, taken from elsewhere."""

from __future__ import annotations

import copy
import json
from itertools import islice
from random import Random
from typing import Any

import yaml

from tests.fuzz.values import RAW, any_value

__all__ = ["mutate_tree", "mutate_written"]


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container with every key in it, once, however often aliases name it."""
    found, left, seen = [], [tree], set[int]()
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        keys = (
            list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        )
        found += [(node, key) for key in keys]
        left += [node[key] for key in keys]
    return found


def mutate_tree(tree: Any, dice: Random, others: list[Any]) -> Any:
    """One to three changes."""
    tree = copy.deepcopy(tree)
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        found = places(tree)
        if not found or dice.random() < 0.02:
            return any_value(dice)
        node, key = dice.choice(found)
        how = dice.random()
        if how < 0.5:
            node[key] = any_value(dice)
        elif how < 0.62:
            del node[key]
        elif how < 0.72:
            other, of = dice.choice(places(dice.choice(others)) or [(node, key)]) if others else (node, key)
            node[key] = copy.deepcopy(other[of])
        elif how < 0.8 and isinstance(node, dict):
            node[any_value(dice) if dice.random() < 0.1 else f"{key}x"] = node.pop(key)
        elif how < 0.86 and isinstance(node, dict):
            other, of = dice.choice(found)
            node[of if isinstance(other, dict) else "extra"] = copy.deepcopy(other[of])
        elif how < 0.92 and isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        elif how < 0.95:
            node[key] = [node[key]]
        elif how < 0.98:
            node[key] = {dice.choice(["kind", "a", "file", "value"]): node[key]}
        else:
            value = node[key]
            for _ in range(dice.choice([3, 60])):
                value = [value] if dice.random() < 0.5 else {"a": value}
            node[key] = value
    return tree


def mutate_written(text: str, dice: Random, others: list[str], is_json: bool) -> str:
    """The file as it is written after changes; text that is neither YAML nor JSON comes back as it was."""
    tree = read(text)
    if tree is None:
        return text
    tree = mutate_tree(tree, dice, [other for other in map(read, others) if other is not None])
    raw = dice.choice(RAW) if dice.random() < 0.15 else None
    if raw is not None and (found := places(tree)):
        node, key = dice.choice(found)
        node[key] = "@raw@"
    try:
        written = (
            as_json(tree, ensure_ascii=dice.random() < 0.5)
            if is_json
            else yaml.dump(tree, sort_keys=False, allow_unicode=True)
        )
    except (TypeError, ValueError):  # a key that JSON cannot have, aliases that would fill the memory
        return text
    if raw is not None:
        written = written.replace('"@raw@"' if is_json else "'@raw@'", raw, 1)
    return written


def as_json(tree: Any, ensure_ascii: bool) -> str:
    """As `json.dumps`, up to a million pieces: what YAML says by aliases JSON writes out, each time."""
    pieces = list(islice(json.JSONEncoder(ensure_ascii=ensure_ascii).iterencode(tree), 1_000_001))
    if len(pieces) > 1_000_000:
        raise ValueError
    return "".join(pieces)


def read(text: str) -> Any:
    """What YAML makes of it; every JSON file is YAML."""
    try:
        return json.loads(text) if text[:1] in "{[" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None
