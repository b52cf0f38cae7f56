"""A measured latency, from a file."""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from gapslsim.network._latency_trace import LatencyTrace, read_latencies
from gapslsim.network._traces import Table
from gapslsim.network.file_name import FileName, find_file
from gapslsim.network.latency import Delays, Latency, latencies
from gapslsim.registry import component
from gapslsim.units import Seconds, parse_quantity

__all__ = ["MeasuredLatency"]


@latencies.register
@component
class MeasuredLatency(Latency):
    """A latency over time from a CSV file: what holds when a message is submitted is what it pays.

    A value holds from its time until the next one.
    """

    kind: Literal["trace"] = "trace"
    file: FileName
    """Path of the file, relative to the scenario or below the folder of public data (`GAPSLSIM_DATA`)."""
    time_column: str = "time_s"
    """Name of the column, or its position from 0 if the file has no header."""
    latency_column: str = "latency_ms"
    """Name of the column, or its position from 0 if the file has no header."""
    time_unit: str = "s"
    """Clock times (ISO stamps, HH:MM:SS) are known as such and need none."""
    latency_unit: str = "ms"
    """For instance `ms`, `us`, `s`."""
    round_trip: bool = False
    """Whether the values are round trips, as ping's are: half of each is paid in each direction."""
    where: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Rows with these values alone, for instance `{run: 3}` of a table of several runs."""
    loop: bool = True
    """Start again at the end; otherwise the last value holds for ever."""
    offset: Seconds = 0.0
    """Where in the trace the simulation starts."""
    scale: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    """Factor on every value."""

    def __hash__(self) -> int:
        """That of the file: the rows taken from it are in a mapping, which has none."""
        return hash(self.file)

    @model_validator(mode="after")
    def _known_units(self) -> MeasuredLatency:
        parse_quantity(f"1 {self.time_unit}", "s")
        parse_quantity(f"1 {self.latency_unit}", "s")
        return self

    @property
    def trace(self) -> LatencyTrace:
        """What the file holds.

        Raises:
            NetworkError: if the file is missing or has no such columns; names the line.
        """
        columns, units = (self.time_column, self.latency_column), (self.time_unit, self.latency_unit)
        return read_latencies(find_file(self.file), Table(columns, units, tuple(self.where.items())))

    def delays(self, random: np.random.Generator) -> Delays:
        """What holds at the time of submission; draws nothing."""
        trace, factor = self.trace, self._factor

        def delay_s(now_s: float) -> float:
            at_s = now_s + self.offset
            at_s = at_s % trace.duration_s if self.loop else at_s
            return factor * trace.delays_s[bisect_right(trace.times_s, at_s) - 1]

        return delay_s

    @property
    def mean_s(self) -> float:
        """Time-weighted mean over the whole trace."""
        return self._factor * self.trace.mean_s

    @property
    def _factor(self) -> float:
        return self.scale * (0.5 if self.round_trip else 1.0)
