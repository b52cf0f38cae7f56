"""How large a number of a setting may be, where the setting itself says nothing: no sensible one comes near.

Beyond these, sums lose what is added to them, single precision has no such number, and counts exhaust any memory.
Settings with bounds of their own keep them. Quantities have theirs by unit (`gapslsim.units`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

__all__ = [
    "LARGEST",
    "PARAMETERS",
    "Bins",
    "Classes",
    "Depth",
    "Drawn",
    "Nodes",
    "Side",
    "Width",
    "bounded_schema",
]

LARGEST: Final = {"int": 10**12, "float": 1e18}
"""By type; both signs."""
Width = Annotated[int, Field(gt=0, le=1_000_000)]
"""Of a layer or an input: each entry has weights."""
Depth = Annotated[int, Field(gt=0, le=10_000)]
"""Blocks of a model: each becomes modules, and a place to cut."""
Nodes = Annotated[int, Field(ge=1, le=100_000)]
"""That a topology makes: each becomes an object with links."""
PARAMETERS: Final = 10**11
"""Of a whole model: 400 GB for one copy, and training holds several."""
Drawn = Annotated[int, Field(gt=0, le=1_000_000_000)]
"""That are drawn: each has a label in memory."""
Classes = Annotated[int, Field(ge=2, le=1_000_000)]
"""Outputs of a model: each has weights, and tables of all pairs may be asked for."""
Side = Annotated[int, Field(gt=0, le=8192)]
"""Of an image [pixels]."""
Bins = Annotated[int, Field(gt=0, le=10_000)]
"""Of a histogram."""


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
