"""Logs of power over time: what a device draws at rest and at work."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from statistics import mean
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field

from gapslsim.importing.importer import Imported, Importer, Source, measurements
from gapslsim.measuring.table import Machine, Measurement, idle_row, load_row
from gapslsim.registry import component

__all__ = ["PowerLog", "PowerSample"]

_USE: Final = (
    "give --append and the table of gapslsim measure as -o, and calibrate takes the power from there; or write the "
    "watts into a profile's power"
)


class PowerSample(NamedTuple):
    """One line of a log."""

    power_w: float
    busy_pct: float | None
    """The busiest of processor and accelerator [%]; None where the log does not tell."""
    device: str = ""


@component
class PowerLog(Importer):
    """Settings that logs of power have in common."""

    device: str = ""
    """Name of the device in the table; by default as the log says, else the importer's name."""
    power_mode: str = ""
    """Power mode that was set, for instance 15w."""
    state: Literal["auto", "idle", "load"] = "auto"
    """What went on: `auto` tells rest from work by the load in the log."""
    idle_below: Annotated[float, Field(ge=0, le=100)] = 10.0
    """Load below which the device rests [%]."""
    load_above: Annotated[float, Field(ge=0, le=100)] = 50.0
    """Load from which on it works [%]; what lies between is left out."""

    @abstractmethod
    def samples(self, source: Source, notes: list[str]) -> Iterable[PowerSample]:
        """Power and load of each line; what a user should know is added to the notes."""

    def read(self, source: Source) -> Imported:
        """Rows of the kinds `idle` and `load`, with their power."""
        notes: list[str] = []
        samples = list(self.samples(source, notes))
        if not samples:
            return measurements([])
        if self.state == "auto" and all(sample.busy_pct is None for sample in samples):
            raise source.fault("it does not say how busy the device was; say --set state=idle or state=load")
        kind = str(getattr(self, "kind", "log"))
        name = self.device or samples[0].device or kind
        machine = Machine(name, kind, 1, self.power_mode)
        rows: list[Measurement] = []
        for state, row in (("idle", idle_row), ("load", load_row)):
            watts = [sample.power_w for sample in samples if self._state(sample) == state]
            rows += [row(machine, power_w) for power_w in watts if power_w > 0]
            if watts:
                notes.append(f"{state}: {mean(watts):.4g} W, mean of {len(watts)} samples")
        between = len(samples) - len(rows)
        if between:
            notes.append(
                f"{between} of {len(samples)} samples are neither below {self.idle_below:g} % nor from "
                f"{self.load_above:g} % of load on, or without power, and are left out"
            )
        return replace(measurements(rows, notes), use=_USE)

    def _state(self, sample: PowerSample) -> str:
        if self.state != "auto" or sample.busy_pct is None:
            return self.state
        if sample.busy_pct < self.idle_below:
            return "idle"
        return "load" if sample.busy_pct >= self.load_above else ""
