"""Invariants of every component: its settings can be written, read and compared, and say what they mean."""

from __future__ import annotations

import json
from typing import Any

import yaml
from pydantic import ValidationError

from gapslsim.checks._examples import read, said_by
from gapslsim.checks.check import InapplicableError, InvariantError, require
from gapslsim.registry import FAMILIES, meaning_of, settings_of

_COMPARED_ONLY = {"cost_model", "figure", "measure"}
"""Families whose members are never used as keys of a cache, so that their settings may hold dicts."""


def _family_of(member: Any) -> str:
    for family in FAMILIES.made():
        if type(member) in family.members.values():
            return family.name
    fix = "put '@<family>.register' above it."
    raise InvariantError(f"{type(member).__name__} is registered in no family; {fix}")


def settings_come_back(member: Any) -> None:
    """Its settings survive being written to a file and read again."""
    family = _family_of(member)
    try:
        text = yaml.safe_dump(json.loads(json.dumps(settings_of(member), allow_nan=False)))
    except (TypeError, ValueError) as error:
        fix = "use numbers, text, lists and mappings, or give the type a serializer of pydantic."
        raise InvariantError(f"{member!r:.120} cannot be written as JSON ({error}); {fix}") from None
    written = yaml.safe_load(text)
    try:
        again = read(family, written)
    except ValidationError as error:
        said = f"the settings that it writes, {written!r}, are refused when they are read: {said_by(error)}"
        fix = "What a validator makes of a setting must be allowed as that setting too."
        raise InvariantError(f"{said}. {fix}") from None
    fix = "compare fields that a validator changes, and fields that are no settings."
    require(again == member, f"after writing and reading, {again!r} is not {member!r}; {fix}")


def settings_are_keys(member: Any) -> None:
    """Its settings can be hashed, and equal settings have equal hashes."""
    family, name = _family_of(member), type(member).__name__
    if family in _COMPARED_ONLY:
        raise InapplicableError(f"a {family} is never a key")
    try:
        own = hash(member)
    except TypeError as error:
        fix = "use tuple[...] for lists, or write __hash__."
        raise InvariantError(f"{name} cannot be hashed ({error}); {fix}") from None
    again = hash(read(family, json.loads(json.dumps(settings_of(member)))))
    require(again == own, f"two equal {name} have different hashes; compute the hash from the settings.")


def meanings_are_told(member: Any) -> None:
    """Its class and each of its settings say what they mean, in a docstring."""
    cls, tag = type(member), FAMILIES[_family_of(member)].tag
    first = (cls.__doc__ or "").strip()
    is_told = first and not first.startswith(f"{cls.__name__}(")  # what dataclasses write by themselves
    require(is_told, f'class {cls.__name__} has no docstring; write one sentence: """..."""')
    for name in cls.__pydantic_fields__:
        said = f"the setting {name!r} has no meaning; write a docstring on the line below it."
        require(name == tag or meaning_of(cls, name), said)
