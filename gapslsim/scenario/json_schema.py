"""JSON Schema of scenario files, for editors' YAML plug-ins."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import TypeAdapter

from gapslsim.scenario.schema import Scenario

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12.

    A component is any of its family's mappings, told apart by a constant `kind` (`optimizer` for optimizers), or a
    shorthand in text. A file that names a `base` is laid upon it and may leave out anything, so every definition
    comes twice: as it is, and as `<name>.partial` without required keys.
    """
    whole = TypeAdapter(Scenario).json_schema()
    definitions: dict[str, Any] = whole.pop("$defs", {})
    definitions["Scenario"] = whole
    for definition in definitions.values():
        _tidy(definition)
    partial = {f"{name}.partial": _partial(definition) for name, definition in definitions.items()}
    partial["Scenario.partial"]["properties"]["base"] = {
        "type": "string",
        "description": "Another scenario file, relative to this one, which this one is laid upon.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenario of gapslsim",
        "type": "object",
        "if": {"type": "object", "required": ["base"]},
        "then": {"$ref": "#/$defs/Scenario.partial"},
        "else": {"$ref": "#/$defs/Scenario"},
        "$defs": dict(sorted({**definitions, **partial}.items())),
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


def _partial(definition: dict[str, Any]) -> dict[str, Any]:
    """A copy without required keys that refers to other partial definitions."""

    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: f"{inner}.partial" if key == "$ref" else visit(inner) for key, inner in value.items()
            }
        return [visit(inner) for inner in value] if isinstance(value, list) else value

    result: dict[str, Any] = visit(copy.deepcopy(definition))
    result.pop("required", None)
    return result
