"""What `summary.json` and `provenance.json` must hold when they are read again: entries, types, what fits what."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gapslsim._version import __version__
from gapslsim.documents import json_data
from gapslsim.results.categories import CATEGORIES, Category

__all__ = ["LARGEST", "read_provenance", "read_summary", "written_by"]

LARGEST: Final = 1e100
"""No number of a run is larger: nobody measures one, and squares of larger ones are none."""
_TOLD: Final = 3


def _target(text: str) -> str:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:40]!r} is no accuracy")
    return text


_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
_Amount = Annotated[float, Field(ge=0, le=LARGEST)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Target = Annotated[str, AfterValidator(_target)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)


class _Accuracy(_Entry):
    last: _Share | None
    best: _Share | None
    min: _Share | None = None
    max: _Share | None = None


class _Energy(_Entry):
    clients: _Amount
    server: _Amount
    total: _Amount


class _Wasted(_Entry):
    spans: _Count
    time_s: _Amount
    bytes: _Count
    energy_j: _Amount
    share_of_time: _Amount | None
    share_of_bytes: _Amount | None
    share_of_energy: _Amount | None


class _Attendance(_Entry):
    came: _Count
    late: _Count
    stale: _Count
    lost: _Count


class _Participation(_Entry):
    min: _Amount
    mean: _Amount
    max: _Amount


class _Away(_Entry):
    mean: _Amount
    max: _Amount


class _Fairness(_Entry):
    view: str | None
    often_away: _Share | None
    seldom_away: _Share | None


class _Interval(_Entry):
    low: _Number | None
    median: _Number | None
    high: _Number | None


class _Crossing(_Entry):
    after: _Amount
    by: _Amount
    interpolated: _Amount


class _Cause(_Entry):
    share: _Number
    rests_on: str


class _Uncertainty(_Entry):
    draws: _Count
    level: _Share
    decided: _Share
    same_training: bool
    simulated_time_s: _Interval
    energy_j: _Interval
    time_to_accuracy_s: dict[_Target, _Interval]
    spread_of_time: dict[str, _Cause]
    notes: list[str]


class _ComputedOn(_Entry):
    device: str
    precision: str
    name: str | None = None
    deterministic: bool | None = None


# Waiting is what is left over, and may be below zero by a rounding.
_Went = Annotated[dict[Category, _Number], Field(min_length=len(CATEGORIES))]


class _Summary(_Entry):
    """Entries that are read again; a number that did not exist is None. Others may stand beside them."""

    name: str
    framework: str
    seed: int
    status: str
    stopped_by: str
    dry: bool
    rounds: _Count
    epochs: _Amount
    simulated_time_s: _Amount
    wall_time_s: _Amount | None
    accuracy: dict[str, _Accuracy]
    target_view: str
    time_to_accuracy_s: dict[_Target, _Amount | None]
    bytes_up: _Count
    bytes_down: _Count
    energy_j: _Energy
    where_time_went_s: _Went
    where_time_went_by_device_s: dict[str, _Went]
    n_clients: _Count
    clients_by_device: dict[str, _Count]
    memory: dict[str, _Amount | None]
    timeline_sha256: str
    learning_sha256: str
    warnings: list[str]
    # What runs of earlier versions do not have, and where there is nothing to tell.
    bytes_between: _Count = 0
    wasted: _Wasted | None = None
    attendance: _Attendance | None = None
    participation: _Participation | None = None
    away_s: _Away | None = None
    fairness: _Fairness | None = None
    mean_staleness: _Amount | None = None
    max_staleness: _Count | None = None
    metrics: dict[str, dict[str, _Number | None]] | None = None
    uncertainty: _Uncertainty | None = None
    time_to_accuracy_within_s: dict[_Target, _Crossing | None] | None = None
    computed_on: _ComputedOn | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """One entry does not deny another."""
        if sum(self.clients_by_device.values()) != self.n_clients:
            raise ValueError("clients_by_device does not count n_clients")
        if self.where_time_went_by_device_s.keys() != self.clients_by_device.keys():
            raise ValueError("where_time_went_by_device_s has other devices than clients_by_device")
        for view, found in self.accuracy.items():
            if len(found.model_fields_set & {"min", "max"}) == 1:
                raise ValueError(f"accuracy.{view} has only one of min and max")
        for key in self.memory:
            if key.endswith("_ram_bytes") and key.replace("_ram_bytes", "_bytes") not in self.memory:
                raise ValueError(f"memory.{key} is a limit of nothing")
        return self


class _Git(_Entry):
    commit: str | None
    dirty: bool | None


class _Machine(_Entry):
    processor: str | None = None
    n_cpus: _Count | None = None


class _Provenance(_Entry):
    """Entries that are read again; earlier versions lack some."""

    run: str = ""
    gapslsim: str = ""
    git: _Git | None = None
    python: str = ""
    packages: dict[str, str] = {}
    components: dict[str, str] = {}
    machine: _Machine = _Machine()
    started: str | None = None


def read_summary(text: str) -> dict[str, Any]:
    """The summary in the text of a JSON file.

    Raises:
        ValueError: if it is none; names the entries, and the version that wrote it where that is another one.
    """
    found = _object(text)
    versions = found.get("versions")
    version = versions.get("gapslsim") if isinstance(versions, dict) else None
    _check(_Summary, found, "summary of a run", version)
    return found


def read_provenance(text: str) -> dict[str, Any]:
    """Where a run was made; raises as `read_summary`."""
    found = _object(text)
    _check(_Provenance, found, "provenance of a run", found.get("gapslsim"))
    return found


def written_by(version: object) -> str:
    """`; gapslsim 0.9 wrote it, this is 1.0`; empty if this version did, or nothing tells."""
    if not isinstance(version, str) or version in ("", __version__):
        return ""
    return f"; gapslsim {version[:40]} wrote it, this is {__version__}"


def _object(text: str) -> dict[str, Any]:
    try:
        found = json_data(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("holds no JSON object")
    return found


def _check(entries: type[_Entry], found: dict[str, Any], what: str, version: object) -> None:
    try:
        entries.model_validate(found)
    except ValidationError as error:
        told = [
            ": ".join(
                filter(None, (".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")))
            )
            for one in error.errors(include_url=False)
        ]
        more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        said = "; ".join(told[:_TOLD])
        raise ValueError(f"is no {what} ({said}{more}){written_by(version)}") from error
