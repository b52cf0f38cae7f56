"""A measured rate, from a file."""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from gapslsim.network._traces import Gaps, Table, Trace, read_trace
from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.network.file_name import FileName, find_file
from gapslsim.registry import component
from gapslsim.units import Seconds, StepLength, parse_quantity

__all__ = ["MeasuredTrace"]


@channels.register
@component
class MeasuredTrace(Channel):
    """A rate over time from a file: Mahimahi, cooked text, CSV, Oboe, Sabre or Pantheon.

    A value holds from its time until the next one. (Pensieve's own player lets a value of a cooked file hold until
    its time instead; over a whole trace the difference is a shift by one sample.) Uplink and downlink are two
    channels: give each its own file or column.
    """

    kind: Literal["trace"] = "trace"
    file: FileName
    """Path of the file, relative to the scenario or below the folder of public data (`GAPSLSIM_DATA`)."""
    format: Literal["mahimahi", "cooked", "csv", "oboe", "sabre", "pantheon"]
    """`mahimahi`: one ms per line, each an opportunity to deliver 1500 bytes; `cooked`: `time_s rate_Mbit_s` per line;
    `csv`: named columns; `oboe`: `t_ms kbit_s` per line; `sabre`, `pantheon`: JSON."""
    loop: bool = True
    """Start again at the end; otherwise the last rate holds for ever."""
    offset: Seconds = 0.0
    """Where in the trace the simulation starts."""
    scale: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    """Factor on every rate."""
    bin: StepLength = 0.01
    """`mahimahi` only: opportunities are counted over this time. `1 ms` replays each stamp, which suits a link that is
    the only limit of its path; where bursts meet another limit, a queue would smooth them, and longer bins do."""
    time_column: str = "time_s"
    """`csv` only: name of the column, or its position from 0 if the file has no header."""
    rate_column: str = "rate_bit_s"
    """`csv` only: name of the column, or its position from 0 if the file has no header."""
    time_unit: str = "s"
    """`csv` only; clock times (ISO stamps, HH:MM:SS) are known as such and need none."""
    rate_unit: str = "bit/s"
    """`csv` only: for instance `Mbit/s`, `kbit/s`, `B/s`."""
    where: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """`csv` only: rows with these values alone, for instance `{run: 3}` of a table of several runs."""
    gaps: Gaps = "hold"
    """Where a file of regular steps has none for a while: `hold` keeps the rate before, `zero` lets nothing pass,
    `skip` cuts the gap out. `validate` says how many gaps there are."""

    def __hash__(self) -> int:
        """That of the file: the rows taken from it are in a mapping, which has none."""
        return hash((self.file, self.format))

    @model_validator(mode="after")
    def _known_units(self) -> MeasuredTrace:
        parse_quantity(f"1 {self.time_unit}", "s")
        parse_quantity(f"1 {self.rate_unit}", "bit/s")
        return self

    @property
    def trace(self) -> Trace:
        """What the file holds.

        Raises:
            NetworkError: if the file is missing or does not have this format.
        """
        columns, units = (self.time_column, self.rate_column), (self.time_unit, self.rate_unit)
        table = Table(columns, units, tuple(self.where.items()))
        return read_trace(find_file(self.file), self.format, self.bin, table, self.gaps)

    def notes(self) -> list[str]:
        """Gaps and empty cells of the file."""
        return [f"{self.file}: {note}" for note in self.trace.notes]

    def steps(self, random: np.random.Generator) -> Steps:
        """The trace from the offset on; draws nothing."""
        trace = self.trace
        offset = self.offset % trace.duration_s if self.loop else min(self.offset, trace.duration_s)
        # The value that holds at the offset began before it.
        first = bisect_right(trace.times_s, offset) - 1
        yield 0.0, self.scale * trace.rates_bit_per_s[first]
        lap = 0
        start = first + 1
        while True:
            for time_s, rate in zip(trace.times_s[start:], trace.rates_bit_per_s[start:], strict=True):
                # Counted from the file's own times in each lap: a running sum would drift over many.
                yield time_s - offset + lap * trace.duration_s, self.scale * rate
            if not self.loop:
                return
            lap += 1
            start = 0

    def dies(self) -> str | None:
        """A last rate of 0 that holds for ever, or nothing but zeros."""
        rates = self.trace.rates_bit_per_s
        if not any(rates):
            return f"all rates of {self.file} are 0"
        if not self.loop and rates[-1] == 0:
            return f"the last rate of {self.file} is 0 and holds for ever; write loop: true or end it with another rate"
        return None

    @property
    def mean_bit_per_s(self) -> float:
        """Time-weighted mean over the whole trace."""
        return self.scale * self.trace.mean_bit_per_s
