"""Which processor kernels PyTorch computes with: pinned, so that one seed gives one hash on x86-64 of one make.

PyTorch, oneDNN and MKL choose kernels by the processor, and sums in wider vectors round otherwise. Between Intel's and
AMD's processors last bits differ even so, as seen with PyTorch 2.14. Each library reads one variable of the environment
when it is first used, so that the choice must be made before torch is imported.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

__all__ = ["PINS", "Compiling", "Kernels", "Precision", "choose", "in_use"]

Kernels = Literal["pinned", "native"]
Precision = Literal["float32", "tf32", "bfloat16"]
"""Of the products that tensors are multiplied with; see `training.precision`."""
Compiling = Literal["none", "compile", "cuda_graphs"]
"""Of passes through layers; see `training.compile`."""

PINS: Final[Mapping[str, str]] = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
}
"""AVX2, since every x86-64 processor of the last ten years has it."""


def choose(kernels: Kernels) -> None:
    """Pins the kernels, if that is wanted and torch is not imported yet; does nothing otherwise.

    Processes that are started from here inherit the choice. What the user has set stays as it is.
    """
    if kernels == "pinned" and "torch" not in sys.modules and _has_avx2():
        for name, value in PINS.items():
            os.environ.setdefault(name, value)


def in_use() -> dict[str, Any]:
    """Which kernels this process computes with, and why they are not pinned; for the provenance of a run."""
    torch = sys.modules.get("torch")
    others = [name for name, value in PINS.items() if os.environ.get(name) != value]
    if not others:
        kernels, why = "pinned", ""
    elif not _has_avx2():
        kernels, why = "native", "this processor is not known to have AVX2"
    elif given := [f"{name}={os.environ[name]}" for name in others if name in os.environ]:
        kernels, why = "native", f"the environment says {', '.join(given)}"
    else:
        kernels, why = (
            "native",
            "training.kernels is native, or torch was imported before the scenario was loaded",
        )
    capability = torch.backends.cpu.get_cpu_capability() if torch is not None else None
    return {"kernels": kernels, "why": why, "cpu_capability": capability}


def _has_avx2() -> bool:
    """Whether the processor has AVX2; false where the system does not say."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        # PyTorch believes the variable: on a processor without AVX2 it would stop with an illegal instruction.
        return " avx2 " in Path("/proc/cpuinfo").read_text(encoding="utf-8").replace("\n", " ")
    except OSError:
        return False
