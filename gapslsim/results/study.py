"""What a study's directory says of itself: the question, the axes, the runs and how each ended (`study.json`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import ResultsError
from gapslsim.regular_files import is_plain_name, read_text
from gapslsim.results.outputs import write_text

__all__ = ["RUNS", "RunRecord", "StudyRecord", "is_study", "read_study", "write_study"]

_STUDY: Final = "study.json"
RUNS: Final = "runs"
"""Subfolder with one run directory per run."""
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a study."""

    label: str
    """Name of its directory below `runs/`."""
    axes: dict[str, str]
    """Value on each axis, as people read it."""
    seed: int
    scenario_sha256: str
    """Hash of the resolved scenario; empty if the scenario is impossible."""
    status: str = "planned"
    """`planned`, `completed`, `failed: ...` or `impossible: ...`; in an adaptive study `stopped: ...`, with tables of
    its beginning, or `spared: ...`, if it was not begun."""

    @property
    def is_stopped(self) -> bool:
        """Whether its study stopped it before its end: its tables are those of its beginning."""
        return self.status.startswith("stopped")

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to do for it and nothing went wrong."""
        return self.status == "completed" or self.status.startswith(("stopped", "spared"))


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study and its runs."""

    name: str
    question: str
    base: str
    series: list[str]
    """Axes whose values are compared in one plot, usually the framework; the others make panels."""
    axes: dict[str, list[str]]
    """Values of each axis in the order of the study."""
    seeds: list[int]
    targets: list[float]
    budgets_s: list[float]
    target_view: str
    command: list[str]
    """The command line that ran it last."""
    study_yaml: str
    """The study file as it was."""
    runs: list[RunRecord] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    """Axes whose values a search drew together."""
    objective: list[dict[str, Any]] = field(default_factory=list)
    """Settings of the measures that tell which of its trials is best."""
    figure: dict[str, Any] | None = None
    """Settings of the study's figure, see `study_figure`; None if it asks for none."""


def is_study(directory: Path) -> bool:
    """Whether a directory holds a study."""
    return (directory / _STUDY).is_file()


def write_study(record: StudyRecord, directory: Path) -> None:
    """Writes `study.json`, whole or not at all."""
    text = json.dumps({"version": _VERSION, **asdict(record)}, indent=1, ensure_ascii=False)
    write_text(directory / _STUDY, text + "\n")


def read_study(directory: str | Path) -> StudyRecord:
    """Reads a study's record.

    Raises:
        ResultsError: if there is none, it cannot be read or is not what it should be.
    """
    file = Path(directory) / _STUDY
    try:
        text = read_text(file)
        version = json.loads(text)["version"]
        if version != _VERSION:
            raise ResultsError(f"{file} has version {version}; this gapslsim reads version {_VERSION}")
        record = TypeAdapter(StudyRecord).validate_json(text, strict=True)
        placed = all(run.axes.keys() == record.axes.keys() for run in record.runs)
        if not all(is_plain_name(run.label) for run in record.runs):
            raise ValueError("a run's label leads out of the directory")
        if not placed or not record.axes.keys() >= set(record.series):
            raise ValueError("its runs do not lie on its axes")
        return record
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = str(error)
    raise ResultsError(f"{file} cannot be read ({what}); run 'gapslsim sweep' again with --resume")
