"""Components to look at: their defaults, what is given, and guesses for what else is required."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import ComponentError, did_you_mean
from gapslsim.registry import FAMILIES
from gapslsim.scenario.fields import fields_of
from gapslsim.units import STRICT_UNITS

__all__ = ["NoSettingsError", "make", "read", "said_by"]

Schema = Mapping[str, Any]


class NoSettingsError(Exception):
    """Settings of a component cannot be guessed; says which to give."""


def make(family: str, kind: str, given: Mapping[str, Any]) -> Any:
    """A component with its defaults, with what is given, and with guesses for what else is required.

    Args:
        family: name of the family.
        kind: name of the component in it.
        given: settings by dotted path, for instance `{"k": 3, "channel.rate": "1 Mbit/s"}`.

    Raises:
        NoSettingsError: if settings are missing that cannot be guessed, or the guesses do not fit together.
        ComponentError: for what is given and cannot be used.
    """
    cls, known = FAMILIES[family][kind], list(fields_of(FAMILIES[family][kind]))
    for name in (path.partition(".")[0] for path in given):
        if name not in known:
            said = f"{family} {kind} has no setting {name!r}; it has: {', '.join(known)}."
            raise ComponentError(said + did_you_mean(name, known))
    settings = _guesses(cls, {path.partition(".")[0] for path in given}, kind)
    for path, value in given.items():
        _put(settings, path.split("."), value, f"{kind}.{path}")
    try:
        return read(family, {FAMILIES[family].tag: kind, **settings})
    except ValidationError as error:
        shown = ", ".join(f"{name} = {value!r}" for name, value in settings.items())
        if given:
            raise ComponentError(f"{family} {kind} with {shown}: {said_by(error)}") from None
        said = f"no settings of it are known that work (tried {shown or 'the defaults'}: {said_by(error)})"
        raise NoSettingsError(f"{said}; give them with --set {kind}.NAME=VALUE.") from None


def read(family: str, settings: Any) -> Any:
    """A component as a file would be read: quantities need their units."""
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Any, FAMILIES[family]])
    return adapter.validate_python(settings, context=STRICT_UNITS)


def said_by(error: ValidationError) -> str:
    """What pydantic refuses, with its places."""
    items = [(".".join(map(str, item["loc"][1:])), item["msg"]) for item in error.errors(include_url=False)]
    return "; ".join(f"{place}: {said}" if place else said for place, said in items)


def _guesses(cls: type[Any], given: set[str], kind: str) -> dict[str, Any]:
    """Values for the required settings of a component that are not given, from its JSON schema.

    Raises:
        NoSettingsError: if a setting is required that only its writer can tell, such as a file.
    """
    schema = TypeAdapter(cast("Any", cls)).json_schema()
    if "$ref" in schema:  # One that may hold a member of its own family.
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]] | {"$defs": schema["$defs"]}
    names = [name for name in schema.get("required", []) if name not in given]
    found = {name: _guess(schema["properties"][name], schema.get("$defs", {})) for name in names}
    for name, value in found.items():
        if value is None:
            said = f"its setting {name!r} is required and cannot be guessed"
            raise NoSettingsError(f"{said}; give it with --set {kind}.{name}=VALUE.")
    return found


def _guess(schema: Schema, definitions: Schema) -> Any:
    """A value that a JSON schema allows; None if it cannot be guessed."""
    if "$ref" in schema:
        return _guess(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for key in ("default", "const"):
        if schema.get(key) is not None:
            return schema[key]
    for values in (schema.get("enum"), schema.get("examples")):
        if values:
            return values[0]
    choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if "if" in schema:  # a family: a bare name or shorthand, else its members by kind
        members = [member["then"] for member in schema["then"]["allOf"]]
        choices = [*(() if schema["else"] == {"type": "object"} else (schema["else"],)), *members]
    if choices:  # The shortest first: a bare name before a mapping.
        tried = (_guess(choice, definitions) for choice in sorted(choices, key=lambda c: "enum" not in c))
        return next((value for value in tried if value is not None), None)
    match schema.get("type"):
        case "integer":
            return int(_number(schema))
        case "number":
            return float(_number(schema))
        case "boolean":
            return False
        case "array":
            items = schema.get("prefixItems") or [schema.get("items", {})] * max(1, schema.get("minItems", 1))
            values = [_guess(item, definitions) for item in items]
            return None if None in values else values
        case "object":
            properties = schema.get("properties", {})
            found = {name: inner["const"] for name, inner in properties.items() if "const" in inner}
            required = schema.get("required", [])
            found |= {name: _guess(properties.get(name, {}), definitions) for name in required}
            return None if None in found.values() else found
    return None


def _number(schema: Schema) -> float:
    """One, or what is nearest in the range."""
    low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    if low < 1 < high or schema.get("minimum") == 1:
        return 1.0
    if math.isfinite(low) and math.isfinite(high):
        return float((low + high) / 2)
    return float(low + 1 if math.isfinite(low) else high - 1)


def _put(settings: dict[str, Any], path: list[str], value: Any, name: str) -> None:
    for part in path[:-1]:
        settings = settings.setdefault(part, {})
        if not isinstance(settings, dict):
            raise ComponentError(f"--set {name}: {part!r} is no mapping; set it as a whole.")
    settings[path[-1]] = value
