"""What a test of importers does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter

from gapslsim.importing.importer import Imported, importers, read_with
from gapslsim.units import STRICT_UNITS
from tests.unit.importing.published import FILES

__all__ = ["column", "imported"]

ANY: TypeAdapter[Any] = TypeAdapter(Annotated[Any, importers])


def imported(folder: Path, kind: str, text: str = "", **settings: Any) -> Imported:
    file = folder / "log"
    file.write_text(text or FILES[kind])
    return read_with(ANY.validate_python({"kind": kind, **settings}, context=STRICT_UNITS), file)


def column(made: Imported, name: str) -> list[Any]:
    return [row[made.columns.index(name)] for row in made.rows]
