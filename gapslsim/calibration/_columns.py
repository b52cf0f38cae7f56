"""The columns of a measurement table: what each holds and which values are possible."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "COLUMNS",
    "COSTS",
    "DIRECTIONS",
    "PHASES",
    "PSEUDO_KINDS",
    "REQUIRED",
    "TIMES",
    "TIME_UNITS",
    "Column",
]  # fmt: skip


class Column(NamedTuple):
    """One column of numbers."""

    low: float
    """Smallest possible value."""
    strict: bool = False
    """Whether `low` itself is impossible."""
    high: float = float("inf")
    """Largest possible value."""
    whole: bool = False
    """Whether it counts something."""
    least: float = 0.0
    """Smallest possible value beside 0."""


_DAY = 86_400.0
COSTS = ("work_flop", "moved_bytes", "n_parameters", "n_activations")
TIMES = ("time_s", "duration_s", "round_trip_s")
NUMBERS: dict[str, Column] = {
    "work_flop": Column(0, high=1e18, least=1e-3),
    "moved_bytes": Column(0, high=1e15, least=1e-3),
    "n_parameters": Column(0, high=1e13, whole=True),
    "n_activations": Column(0, high=1e13, whole=True),
    "batch_size": Column(1, high=1e7, whole=True),
    "threads": Column(1, high=4096, whole=True),
    "time_s": Column(0, high=_DAY, least=1e-12),
    "power_w": Column(0, strict=True, high=1e5, least=1e-9),
    "count": Column(1, high=1e7, whole=True),
    "size_bytes": Column(0, strict=True, high=1e15, whole=True),
    "duration_s": Column(0, high=_DAY, least=1e-12),
    "round_trip_s": Column(0, high=3600, least=1e-12),
}
TEXTS = ("device", "runtime", "phase", "kind", "name", "power_mode", "sample", "direction", "note",
         "in_shape", "weight_shape", "out_shape")  # fmt: skip
COLUMNS: tuple[str, ...] = (*TEXTS, *NUMBERS)
"""Every column that a table may have."""
REQUIRED = ("device", "phase", "kind", "time_s")
"""Columns that a table of computations must have."""
PHASES = ("forward", "backward", "step", "training", "other")
"""step is an optimizer step, training a forward pass, backward pass and step timed as one."""
DIRECTIONS = {"up": "up", "uplink": "up", "down": "down", "downlink": "down"}
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0}
"""Units that a time's column may end in."""
PSEUDO_KINDS = {
    "call": "what a pass costs beside its layers",
    "copy": "a copy of memory",
    "whole": "a side of a model as one, for checks only",
    "idle": "nothing, for the idle power",
    "message": "a message made ready or taken apart",
    "iteration": "what a mini-batch takes beside its passes and step",
    "warm": "a mini-batch in a training loop",
    "cold": "the same after a wait",
    "load": "work of any kind, for its power",
}
"""Kinds that are not layers."""
OVERHEADS = ("message", "iteration", "warm", "cold")
"""Kinds that a cost model has no part in."""
MAX_FLOP_RATE = 1e15
"""1 PFLOP/s; what is faster is a mistake in the units [FLOP/s]."""
MAX_BYTE_RATE = 1e14
"""100 TB/s [B/s]."""
MAX_LINK_RATE = 1.25e12
"""10 Tbit/s [B/s]."""
