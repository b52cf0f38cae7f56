"""The NVIDIA GPUs of this machine, found without making use of one: a process that asks CUDA takes memory on each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from gapslsim.errors import ComponentError
from gapslsim.hardware.memory import readable

__all__ = ["Gpu", "find_gpus"]

_QUESTION = ["nvidia-smi", "--query-gpu=index,memory.total,memory.free", "--format=csv,noheader,nounits"]
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU."""

    name: str
    """As `CUDA_VISIBLE_DEVICES` says it."""
    total_bytes: float
    free_bytes: float

    def __str__(self) -> str:
        return f"GPU {self.name} ({readable(self.free_bytes)} of {readable(self.total_bytes)} free)"


def find_gpus(wanted: str | None, ask: Callable[[], str] | None = None) -> list[Gpu]:
    """The GPUs that a sweep may use.

    Args:
        wanted: how many, or which: `2` or `0,1` (`0,` for the first alone); None for all that are visible.
        ask: gives what nvidia-smi says; empty where there is none.

    Raises:
        ComponentError: if there are none of those that are wanted.
    """
    lines = [line.split(",") for line in (ask or _nvidia_smi)().splitlines() if line.count(",") == 2]
    there = [Gpu(index.strip(), float(total) * _MIB, float(free) * _MIB) for index, total, free in lines]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        shown = [name.strip() for name in visible.split(",")]
        there = [gpu for gpu in there if gpu.name in shown]
    if wanted is None:
        return there
    if not there:
        raise ComponentError(
            f"--gpus {wanted}: no NVIDIA GPU answers on this machine (nvidia-smi lists none that is visible). Leave "
            "--gpus out: runs are then computed on CPUs, one per core."
        )
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if not names or not all(name.isdecimal() for name in names):
        raise ComponentError(
            f"--gpus: found {wanted!r}; write a number of GPUs or their indices, as 2 or 0,1"
        )
    if "," not in wanted:
        if not 1 <= int(wanted) <= len(there):
            raise ComponentError(f"--gpus: found {wanted}, but there are {len(there)}: {_listed(there)}")
        return there[: int(wanted)]
    by_name = {gpu.name: gpu for gpu in there}
    if missing := [name for name in names if name not in by_name]:
        raise ComponentError(f"--gpus: there is no GPU {', '.join(missing)}; there are {_listed(there)}")
    return [by_name[name] for name in dict.fromkeys(names)]


def _listed(gpus: list[Gpu]) -> str:
    return ", ".join(map(str, gpus))


def _nvidia_smi() -> str:
    try:
        return subprocess.run(_QUESTION, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
