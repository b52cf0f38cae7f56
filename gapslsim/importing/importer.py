"""What reads another tool's file: the family of importers."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gapslsim.documents import json_data
from gapslsim.errors import GapslsimError
from gapslsim.measuring.table import COLUMNS, Measurement
from gapslsim.registry import Family
from gapslsim.regular_files import MOST_TEXT_BYTES, read_text

__all__ = ["ForeignError", "Imported", "Importer", "Source", "importers", "measurements", "read_with"]


class ForeignError(GapslsimError):
    """A file of another tool that cannot be imported; says which line is wrong, or which importer is the right one."""

    exit_code = 2


@dataclass(frozen=True)
class Source:
    """A file, read once."""

    name: str
    text: str

    @classmethod
    def of(cls, path: Path) -> Source:
        """The file's text.

        Raises:
            ForeignError: if there is none.
        """
        try:
            return cls(str(path), read_text(path, encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ForeignError(f"{path} is no text in UTF-8; unpack it, or save it as such.") from error
        except OSError as error:
            raise ForeignError(f"{path} cannot be read: {error.strerror}; give the path of a log.") from error

    @cached_property
    def json(self) -> Any:
        """The document, or None if it is no JSON."""
        try:
            return json_data(self.text, MOST_TEXT_BYTES)
        except ValueError:
            return None

    def fault(self, what: str, line: int = 0) -> ForeignError:
        """An error in this file."""
        return ForeignError(f"{self.name}:{line}: {what}." if line else f"{self.name}: {what}.")


@dataclass(frozen=True)
class Imported:
    """A table, and what to do with it."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    use: str
    """The next step; `{file}` stands for the file that is written."""
    notes: tuple[str, ...] = ()
    """What a user should know: what was lost, left out, assumed."""

    @property
    def is_measurements(self) -> bool:
        """Whether it is a measurement table, to which others can be added."""
        return {*COLUMNS} <= {*self.columns}


class Importer(ABC):
    """Settings of an importer; a pydantic component."""

    @classmethod
    @abstractmethod
    def knows(cls, source: Source) -> bool:
        """Whether a file is of this tool; looks at a part that every file of it has and no other tool's."""

    @abstractmethod
    def read(self, source: Source) -> Imported:
        """The table of a file that `knows` takes.

        Raises:
            ForeignError: names the line and what to change.
        """


importers: Family[Importer] = Family("importer", "gapslsim.importing.importers")
"""What `gapslsim import` takes as its format."""


def read_with(importer: Importer, path: Path) -> Imported:
    """The table that an importer makes of a file.

    Raises:
        ForeignError: if the file is another tool's, or broken; names the right importer if there is one.
    """
    source = Source.of(path)
    kind = str(getattr(importer, "kind", type(importer).__name__))
    if not importer.knows(source):
        others = [name for name in importers if name != kind and importers[name].knows(source)]
        fix = f"it looks like {others[0]}: gapslsim import {others[0]} {path}" if others else _known(kind)
        raise ForeignError(f"{path} is no file of {kind}; {fix}.")
    try:
        made = importer.read(source)
    except (ValueError, OverflowError, csv.Error) as error:
        why = str(error).partition(";")[0]
        raise source.fault(
            f"holds what no file of {kind} does ({why}); give it as the tool wrote it"
        ) from error
    if not made.rows:
        raise source.fault("nothing in it can be imported")
    return made


def _known(kind: str) -> str:
    return f"no importer knows it; see gapslsim show importer {kind} for what it reads, and gapslsim list importer"


def measurements(rows: Sequence[Measurement], notes: Sequence[str] = ()) -> Imported:
    """Rows of a measurement table; no log says how many threads there were."""
    rows = [row._replace(threads=None) for row in rows]
    return Imported(COLUMNS, rows, "gapslsim calibrate {file} -o my-device.yaml", tuple(notes))
