"""The device of this machine that tensors are computed on: chosen by name, or refused in words; and what it is.

Torch is imported when a device is chosen, not when a scenario is read.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gapslsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import torch

    from gapslsim.kernels import Compiling, Precision

__all__ = [
    "check_compiling", "check_precision", "choose_device", "computed_on", "device_name", "has_driver", "named",
]  # fmt: skip

_DRIVER: Final = Path("/proc/driver/nvidia/version")
_OTHERS: Final = tuple(map(Path, ("/dev/dxg", "/dev/nvhost-gpu", "/dev/kfd")))
"""Drivers that are not NVIDIA's own: of Windows' Linux, of a Jetson, of AMD."""
_KNOWN: Final = "auto, cpu, cuda, cuda:1 or mps"
_TF32_SINCE: Final = (8, 0)
"""Compute capability: Ampere."""


def device_name(name: str) -> str:
    """Checks a name by itself, without torch and whatever this machine has.

    Raises:
        ValueError: if it is no device that gapslsim computes on.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name):
        raise ValueError(f"found {name!r:.60}; write {_KNOWN}")
    return name


def has_driver() -> bool:
    """Whether a GPU may be here, as far as that can be told without importing torch."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return True
    return any(file.exists() for file in (_DRIVER, *_OTHERS)) or not sys.platform.startswith("linux")


def choose_device(name: str, where: str = "training.device") -> torch.device:
    """The device of that name; `auto` is the first CUDA GPU where there is one, else the CPU.

    Args:
        name: see `device_name`.
        where: who says it, for the error.

    Raises:
        ScenarioError: if there is no such device, or this machine has none.
    """
    import torch

    try:
        device_name(name)
    except ValueError as error:
        raise ScenarioError([Problem(where, str(error))]) from error
    if name == "mps":
        if torch.backends.mps.is_available():
            return torch.device("mps", 0)
        raise ScenarioError(
            [Problem(where, "found 'mps', but PyTorch finds no Apple GPU here; write auto or cpu")]
        )
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not n_gpus):
        return torch.device("cpu")
    index = int(name.partition(":")[2] or 0)
    if index >= n_gpus:
        raise ScenarioError([Problem(where, f"found {name!r}, but {_what_there_is(n_gpus)}")])
    return torch.device("cuda", index)


def check_precision(precision: Precision, device: torch.device, where: str = "training.precision") -> None:
    """Refuses TF32 where there is none, and bfloat16 on Apple's GPUs.

    Raises:
        ScenarioError: unless the device has it.
    """
    import torch

    if precision == "bfloat16" and device.type == "mps":
        message = "found 'bfloat16', which nobody has tried on Apple's GPUs; write float32"
    elif precision != "tf32":
        return
    elif device.type != "cuda":
        message = (
            f"found 'tf32', which NVIDIA's GPUs alone have, and this run computes on {device}; write float32"
        )
    elif torch.cuda.get_device_capability(device) < _TF32_SINCE:
        name = torch.cuda.get_device_name(device)
        message = f"found 'tf32', which {name} does not have (GPUs since Ampere do); write float32"
    else:
        return
    raise ScenarioError([Problem(where, message)])


def check_compiling(how: Compiling, device: torch.device) -> None:
    """Refuses compiled passes on a CPU, whose results are to be the same bits on every machine, and on others untried.

    Raises:
        ScenarioError: unless the device is a CUDA GPU, or nothing is compiled.
    """
    if how != "none" and device.type != "cuda":
        message = (
            f"found {how!r}, which is for CUDA GPUs, and this run computes on {device}"
            f"{', where kernels are pinned so that results repeat' if device.type == 'cpu' else ''}; write none"
        )
        raise ScenarioError([Problem("training.compile", message)])


def named(device: torch.device) -> str:
    """`cuda:0 (NVIDIA A100-SXM4-80GB)`, `cpu`."""
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def computed_on(
    device: torch.device, precision: Precision, deterministic: bool, compiling: Compiling = "none"
) -> dict[str, Any]:
    """What computed a run's tensors, and how: for its summary and its provenance."""
    import torch

    found: dict[str, Any] = {"device": str(device), "precision": precision}
    if device.type == "cuda":
        found |= {
            "name": torch.cuda.get_device_name(device),
            "deterministic": deterministic,
            **({} if compiling == "none" else {"compile": compiling}),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "driver": _driver(),
        }
    return found


def _what_there_is(n_gpus: int) -> str:
    import torch

    if n_gpus:
        had = "cuda:0" if n_gpus == 1 else f"cuda:0 to cuda:{n_gpus - 1}"
        return f"the GPUs that PyTorch finds here are {had}; write one of them or auto"
    why = "no driver or no GPU is there" if torch.version.cuda else "this PyTorch was built without CUDA"
    return f"PyTorch finds no CUDA GPU on this machine ({why}); write auto or cpu"


def _driver(file: Path = _DRIVER) -> str | None:
    """Version of NVIDIA's driver where the system says it: `550.54.15`."""
    try:
        found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", file.read_text(encoding="utf-8"))
    except OSError:
        return None
    return found[0] if found else None
