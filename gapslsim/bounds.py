"""How large a number of a setting may be, where the setting itself says nothing: no sensible one comes near.

Beyond these, sums lose what is added to them, single precision has no such number, and counts exhaust any memory.
Settings with bounds of their own keep them. Quantities have theirs by unit (`gapslsim.units`).
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

__all__ = ["LARGEST", "bounded_schema"]

LARGEST: Final = {"int": 10**12, "float": 1e18}
"""By type; both signs."""


def bounded_schema(cls: type[Any], source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """The schema of a settings class, with bounds for every number in it that has none."""
    schema = handler(source)
    _bound(schema)
    return schema


def _bound(schema: Any) -> None:
    if isinstance(schema, list):
        for inner in schema:
            _bound(inner)
    elif isinstance(schema, dict):
        largest = LARGEST.get(str(schema.get("type")))
        if largest is None:
            for key, inner in schema.items():
                if key not in ("metadata", "default", "serialization"):
                    _bound(inner)
            return
        if "le" not in schema and "lt" not in schema:
            schema["le"] = largest
        if "ge" not in schema and "gt" not in schema:
            schema["ge"] = -largest
