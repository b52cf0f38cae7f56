"""Walks along the schema: which component and which field a path of a scenario means."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo

from gapslsim.registry import Family, meaning_of, settings_of
from gapslsim.scenario.tree import Path
from gapslsim.units import Quantity, example, format_quantity

_END = re.compile(r"(?<!\bEq)(?<!\bEqs)(?<!\bal)(?<!\bSec)(?<!e\.g)(?<!i\.e)\. ")
"""The end of a sentence, not of an abbreviation."""

__all__ = [
    "Spot", "attribute_of", "default_words", "fields_of", "first_sentence", "locate", "meanings_of", "type_words",
]  # fmt: skip


@dataclass(frozen=True)
class Spot:
    """What the schema says about one place."""

    path: Path
    """As the user writes it: without the tags that pydantic puts in."""
    owner: type[Any] | None = None
    """The settings class whose field the last part of the path is, known or not."""
    cls: type[Any] | None = None
    """The settings class that lies here, if any."""
    family: Family[Any] | None = None
    """The family that lies here, if any."""
    field: FieldInfo | None = None


def fields_of(cls: type[Any]) -> dict[str, FieldInfo]:
    """Fields of a settings class by the name that files use (`lambda`, not `lambda_`); empty for other classes."""
    found: dict[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return {_written(name, field): field for name, field in found.items()}


def meanings_of(cls: type[Any]) -> dict[str, str]:
    """What each field means, on one line, by the name that files use; inherited ones too."""
    found: dict[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return {_written(name, field): " ".join(meaning_of(cls, name).split()) for name, field in found.items()}


def attribute_of(cls: type[Any], key: str) -> str:
    """The attribute that holds what files call `key`."""
    found: dict[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return next((name for name, field in found.items() if _written(name, field) == key), key)


def _written(name: str, field: FieldInfo) -> str:
    return field.serialization_alias or name


def locate(root: type[Any], location: Iterable[str | int]) -> Spot:
    """Follows the location of a pydantic error and leaves out what is no part of the user's path.

    Args:
        root: the settings class where the location starts.
        location: `loc` of a pydantic error: keys, indices, tags of unions.
    """
    spot = Spot((), None, root)
    annotation: Any = None
    for part in location:
        if spot.family is not None:
            cls = spot.family[str(part)] if part in spot.family else None
            spot = Spot(spot.path, spot.owner, cls, None, spot.field)
        elif spot.cls is not None and fields_of(spot.cls):
            field = fields_of(spot.cls).get(str(part))
            annotation = Annotated[field.annotation, *field.metadata, None] if field is not None else None
            spot = _spot((*spot.path, part), spot.cls, annotation, field)
        elif isinstance(part, int) and get_origin(_bare(annotation)[0]) in (tuple, list):
            annotation = get_args(_bare(annotation)[0])[0]
            spot = _spot((*spot.path, part), None, annotation, spot.field)
        elif get_origin(_bare(annotation)[0]) is dict:
            annotation = get_args(_bare(annotation)[0])[1]
            spot = _spot((*spot.path, part), None, annotation, spot.field)
        elif (member := _tagged(annotation, part)) is not None:
            annotation = member
            spot = _spot(spot.path, spot.owner, annotation, spot.field)
        else:  # the label of an untagged union, or inside a type that we cannot see into
            break
    return spot


def _tagged(annotation: Any, tag: str | int) -> Any:
    """The member of a union that has a tag; None if there is none."""
    members = [part for part in get_args(_bare(annotation)[0]) if Tag(str(tag)) in _bare(part)[1]]
    return members[0] if members else None


def _spot(path: Path, owner: type[Any] | None, annotation: Any, field: FieldInfo | None) -> Spot:
    bare, metadata = _bare(annotation)
    family = next((item for item in metadata if isinstance(item, Family)), None)
    cls = bare if family is None and isinstance(bare, type) and fields_of(bare) else None
    return Spot(path, owner, cls, family, field)


def _bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type without `Annotated` and `| None`, and the metadata found on the way."""
    metadata: tuple[Any, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += tuple(more)
        elif get_origin(annotation) in (Union, types.UnionType):
            some = [part for part in get_args(annotation) if part is not type(None)]
            if len(some) != 1:
                return annotation, metadata
            annotation = some[0]
        else:
            return annotation, metadata


def type_words(field: FieldInfo) -> str:
    """What a field takes, in words, for instance `a channel` or `text with a unit, such as 40 Mbit/s`."""
    bare, metadata = _bare(Annotated[field.annotation, *field.metadata, None])
    limits = [
        f"{sign} {getattr(item, name)}"
        for item in metadata
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        if getattr(item, name, None) is not None
    ]
    return " ".join([_words(bare, metadata), *limits])


def _words(bare: Any, metadata: tuple[Any, ...]) -> str:
    for item in metadata:
        if isinstance(item, Family):
            return f"{item.name}"
        if isinstance(item, Quantity):
            return f"quantity in {item.unit}, such as {example(item.unit)!r}"
    origin, arguments = get_origin(bare), get_args(bare)
    if origin in (tuple, list):
        return f"list of {_words(*_bare(arguments[0]))}"
    if origin is dict:
        return f"mapping to {_words(*_bare(arguments[1]))}"
    if origin in (Union, types.UnionType):
        return " or ".join(_words(*_bare(part)) for part in arguments if part is not type(None))
    if origin is not None:  # a Literal
        return " | ".join(str(part) for part in arguments)
    names = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "anything"}
    return names.get(bare, getattr(bare, "__name__", str(bare)))


def default_words(field: FieldInfo) -> str:
    """The default as a file would write it, for instance `5 ms`; `required` if there is none."""
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        try:
            value = field.get_default(call_default_factory=True)
        except (TypeError, KeyError):  # it depends on other settings
            return "see meaning"
        if value in ({}, (), []):
            return "none"
        kind = getattr(value, "kind", None)
        return str(kind) if kind is not None else type(value).__name__
    if (kind := getattr(field.default, "kind", None)) is not None:
        values = [value for name, value in settings_of(field.default).items() if name != "kind"]
        return str(values[0]) if len(values) == 1 else str(kind)
    metadata = _bare(Annotated[field.annotation, *field.metadata, None])[1]
    units = [item.unit for item in metadata if isinstance(item, Quantity)]
    if units and isinstance(field.default, (int, float)):
        return format_quantity(field.default, units[0])
    if isinstance(field.default, tuple):
        return ", ".join(map(str, field.default)) or "none"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return "none" if field.default is None else str(field.default)


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring on one line."""
    line = " ".join((text or "").strip().split("\n\n")[0].split())
    end = _END.search(line)
    return line[: end.start() + 1] if end is not None else line
