"""The measurement table that `gapslsim measure` writes: one row per repeat, one CSV file to copy back.

Rows of computations carry the fields of `LayerCost` and `time_s`, rows of links `direction`, `size_bytes` and
`duration_s` or `round_trip_s`; cells that do not apply stay empty. Kinds beside those of layers:

- `call`: what a pass through a sequence of layers costs beside its layers (no FLOP, no bytes);
- `copy`: a copy of memory, bytes read plus bytes written;
- `idle`: nothing, with its power;
- `load`: work of any kind, with its power;
- `message`: a message made ready or taken apart, with its bytes;
- `iteration`: what a mini-batch takes beside its passes and step;
- `warm`, `cold`: a whole mini-batch in a training loop, and the same after a wait;
- `whole`: a whole side of a split model, for checks: its layers are in the table one by one.

The time of a layer is what it adds to the pass that it is a part of, so that call plus layers is the pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from gapslsim.csv_text import csv_lines
from gapslsim.results.outputs import check_replaces, write_output
from gapslsim.work import LayerCost

__all__ = [
    "COLUMNS",
    "Machine",
    "Measurement",
    "check_table",
    "compute_row",
    "idle_row",
    "link_row",
    "load_row",
    "write_table",
]


class Measurement(NamedTuple):
    """One row."""

    device: str
    runtime: str
    phase: str
    """forward, backward, step, other, or link."""
    kind: str
    name: str
    work_flop: float | None = None
    moved_bytes: float | None = None
    n_parameters: int | None = None
    n_activations: int | None = None
    batch_size: int | None = None
    threads: int | None = None
    power_mode: str = ""
    time_s: float | None = None
    power_w: float | None = None
    direction: str = ""
    """up: from the device to its peer; down: to the device."""
    size_bytes: int | None = None
    duration_s: float | None = None
    """From the request to the last byte's arrival; a round trip's latency is in it."""
    round_trip_s: float | None = None
    note: str = ""


COLUMNS: tuple[str, ...] = Measurement._fields
"""Header of the file."""


class Machine(NamedTuple):
    """What was measured, the same in every row."""

    device: str
    runtime: str
    threads: int
    power_mode: str = ""
    power_w: float | None = None
    """Mean power under load, where a meter gave it."""


def compute_row(machine: Machine, layer: LayerCost, time_s: float, note: str = "") -> Measurement:
    """A row of one execution of one layer, step or copy; phase `update` is called `step` in the table."""
    phase = "step" if layer.phase == "update" else layer.phase
    cost: dict[str, Any] = asdict(layer) | {"phase": phase}
    return Measurement(**machine._asdict(), **cost, time_s=time_s, note=note)


def link_row(
    machine: Machine,
    direction: str,
    size_bytes: int | None = None,
    duration_s: float | None = None,
    round_trip_s: float | None = None,
) -> Measurement:
    """A row of one transfer, or of one round trip."""
    name = "round_trip" if size_bytes is None else "transfer"
    return Measurement(
        *(machine.device, machine.runtime, "link", "tcp", name),
        power_mode=machine.power_mode,
        direction=direction,
        size_bytes=size_bytes,
        duration_s=duration_s,
        round_trip_s=round_trip_s,
    )


def idle_row(machine: Machine, power_w: float, time_s: float = 1.0) -> Measurement:
    """A row of doing nothing, with the power that a meter shows meanwhile."""
    row = compute_row(machine, LayerCost("idle", "idle", "other", 0.0, 0.0), time_s)
    return row._replace(power_w=power_w)


def load_row(machine: Machine, power_w: float, time_s: float = 1.0) -> Measurement:
    """A row of work of any kind, with the power that a meter shows meanwhile."""
    return idle_row(machine, power_w, time_s)._replace(kind="load", name="load")


def write_table(path: Path, rows: Iterable[Measurement]) -> None:
    """Writes the rows as CSV; times with 6 digits, counts in full.

    Raises:
        ResultsError: if another file is there, or it cannot be written.
    """
    write_output(path, csv_lines([COLUMNS, *(map(_cell, row) for row in rows)]))


def check_table(path: Path) -> None:
    """Refuses a path where `write_table` would.

    Raises:
        ResultsError: if another file is there.
    """
    check_replaces(path, ",".join(COLUMNS))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else f"{value:.6g}"
    return str(value)
