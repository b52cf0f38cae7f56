"""What follows a run elsewhere, as W&B, TensorBoard and MLflow do: the family of trackers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import ComponentError, unknown
from gapslsim.registry import Family, component

__all__ = ["RunLog", "TrackedRun", "Tracker", "tracker_of", "trackers"]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What is known of a run when it begins."""

    name: str
    """`quickstart-gapsl-seed1`."""
    group: str
    """Of its scenario or study."""
    settings: Mapping[str, str | float]
    """Of the scenario, by dotted path; within a study also its place on the axes."""
    scenario_yaml: str


class RunLog(ABC):
    """One run in a tracker."""

    @abstractmethod
    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Notes numbers of a round; rounds come in order."""

    @abstractmethod
    def end(self, summary: Mapping[str, Any], numbers: Mapping[str, float]) -> None:
        """Ends the run.

        Args:
            summary: as `summary.json` holds it; empty if the run left nothing.
            numbers: those of the summary by dotted name.
        """


@component
class Tracker(ABC):
    """Settings of a tracker; a pydantic component."""

    kind: str
    """Name in `--track`; each tracker fixes its own."""
    where: str = ""
    """Where it keeps runs: a folder, a server or a project, as the tracker says."""

    @abstractmethod
    def begin(self, run: TrackedRun) -> RunLog:
        """Begins to follow a run.

        Raises:
            ComponentError: if its package is not installed.
        """

    @abstractmethod
    def check(self) -> None:
        """Says before a run what would keep it from following.

        Raises:
            ComponentError: if its package is not installed.
        """


def _short(value: Any) -> Any:
    """`KIND=WHERE` as a mapping; what is none stays as it is."""
    return _parts(value) if isinstance(value, str) else value


def _parts(text: str) -> dict[str, str]:
    kind, _, where = text.partition("=")
    return {"kind": kind.strip(), "where": where.strip()}


trackers: Family[Tracker] = Family("tracker", "gapslsim.tracking.trackers", _short)


def tracker_of(text: str) -> Tracker:
    """Reads `KIND` or `KIND=WHERE`, as `--track` takes it.

    Raises:
        ComponentError: for an unknown tracker, or one whose package is not installed.
    """
    short = _parts(text)
    if short["kind"] not in trackers:
        raise ComponentError(unknown("tracker", short["kind"], trackers))
    try:
        found: Tracker = TypeAdapter(trackers[short["kind"]]).validate_python(short)
    except ValidationError as error:
        raise ComponentError(f"--track {text}: {error.errors()[0]['msg']}") from None
    found.check()
    return found
