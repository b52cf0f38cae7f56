"""JSON Schema of scenarios and of other files that components make up, for editors' YAML plug-ins and validators.

Written so that the first error of a validator is the mistake itself: what a value must be follows from its `kind` or
its type (`if`, `then`), never from trying every alternative, and a key that is unknown is refused where it stands.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from gapslsim.scenario.schema import Scenario

__all__ = ["json_schema", "schema_of"]

_LATER = ("required", "anyOf")
"""Keywords that are looked at behind the others: what is missing may be misspelt, which is told first."""


def json_schema() -> dict[str, Any]:
    """JSON Schema of scenario files, draft 2020-12.

    A file that names a `base` is laid upon it and may leave out anything, so every definition comes twice: as it is,
    and as `<name>.partial` without required keys.
    """
    made = schema_of(Scenario, "scenario")
    definitions = made["$defs"]
    partial = {f"{name}.partial": _partial(definition) for name, definition in definitions.items()}
    partial["Scenario.partial"]["properties"]["base"] = {
        "type": "string",
        "description": "Another scenario file, relative to this one, which this one is laid upon.",
    }
    made |= {
        "if": {"type": "object", "required": ["base"]},
        "then": {"$ref": "#/$defs/Scenario.partial"},
        "else": {"$ref": made.pop("$ref")},
        "$defs": dict(sorted({**definitions, **partial}.items())),
    }
    return made


def schema_of(cls: type[Any], what: str, partial: Iterable[str] = ()) -> dict[str, Any]:
    """JSON Schema of files that hold one settings class.

    Args:
        cls: which.
        what: what a file of it is called.
        partial: definitions that may leave out anything, on all levels.
    """
    whole = TypeAdapter(cls).json_schema()
    definitions: dict[str, Any] = whole.pop("$defs", {})
    definitions.setdefault(cls.__name__, whole)
    for definition in definitions.values():
        _tidy(definition)
    definitions = {name: _by_type(definition) for name, definition in definitions.items()}
    if partial := set(partial):
        definitions |= {f"{name}.partial": _partial(made) for name, made in definitions.items()}
        definitions |= {name: definitions[f"{name}.partial"] for name in partial}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:gapslsim:schema:{what}",
        "title": f"{what.capitalize()} of gapslsim",
        "type": "object",
        "$ref": f"#/$defs/{cls.__name__}",
        "$defs": dict(sorted(definitions.items())),
    }


def _tidy(definition: dict[str, Any]) -> None:
    """The tag is required; titles made from names say nothing; docstrings keep their first paragraph."""
    definition.pop("title", None)
    properties: dict[str, Any] = definition.get("properties", {})
    for name, value in properties.items():
        value.pop("title", None)
        if value.get("default", "") is None and {"type": "null"} not in value.get("anyOf", []):
            del value["default"]  # stands for "as another setting" and cannot be written
        if name in ("kind", "optimizer") and "const" in value:
            definition["required"] = sorted({name, *definition.get("required", [])})
    for value in (definition, *properties.values()):
        if "description" in value:
            value["description"] = " ".join(value["description"].split("\n\n")[0].split())
    if definition.get("additionalProperties") is False:
        # Said of the key itself; `false` would be said of the mapping around it.
        known = f"unknown key; known: {', '.join(sorted(properties))}"
        definition["additionalProperties"] = {"not": {"description": known}, "errorMessage": known}


def _by_type(value: Any) -> Any:
    """Alternatives of which one is a mapping, or one a list, are told apart by the type of what is written."""
    if isinstance(value, list):
        return [_by_type(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    made = {key: _by_type(inner) for key, inner in value.items() if key not in _LATER}
    made |= {key: _by_type(value[key]) for key in _LATER if key in value}
    for kind in ("object", "array"):
        alternatives = made.get("anyOf", [])
        of_kind = [each for each in alternatives if _type_of(each) == kind]
        others = [each for each in alternatives if _type_of(each) != kind]
        if len(of_kind) != 1 or not others or "if" in made:
            continue
        if others == [{"type": "null"}]:
            made |= {"if": {"type": "null"}, "else": of_kind[0]}
        elif "if" in of_kind[0]:  # a family, which takes text too
            continue
        else:
            rest = _by_type({"anyOf": others}) if len(others) > 1 else others[0]
            made |= {"if": {"type": kind}, "then": of_kind[0], "else": rest}
        del made["anyOf"]
    return made


def _type_of(alternative: dict[str, Any]) -> str:
    if "if" in alternative:  # a family
        return "object"
    return "object" if "$ref" in alternative else str(alternative.get("type", ""))


def _partial(definition: dict[str, Any]) -> dict[str, Any]:
    """A copy without required keys that refers to other partial definitions."""

    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: inner if key == "if" else f"{inner}.partial" if key == "$ref" else visit(inner)
                for key, inner in value.items()
                if key != "required" or not isinstance(inner, list)
            }
        return [visit(inner) for inner in value] if isinstance(value, list) else value

    result: dict[str, Any] = visit(copy.deepcopy(definition))
    return result
