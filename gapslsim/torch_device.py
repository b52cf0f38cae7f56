"""The device of this machine that tensors are computed on: chosen by name, or refused in words; and what it is.

Torch is imported when a device is chosen, not when a scenario is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gapslsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import torch

    from gapslsim.kernels import Precision

__all__ = ["check_precision", "choose_device", "computed_on", "device_name"]

_DRIVER: Final = Path("/proc/driver/nvidia/version")
_KNOWN: Final = "auto, cpu, cuda or cuda:1"
_TF32_SINCE: Final = (8, 0)
"""Compute capability: Ampere."""


def device_name(name: str) -> str:
    """Checks a name by itself, without torch and whatever this machine has.

    Raises:
        ValueError: if it is no device that gapslsim computes on.
    """
    if name.startswith("mps"):
        raise ValueError(
            f"found {name!r}; Apple's GPUs have no float64, in which gradients are compared and accuracies summed; "
            "write cpu"
        )
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name):
        raise ValueError(f"found {name!r:.60}; write {_KNOWN}")
    return name


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
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not n_gpus):
        return torch.device("cpu")
    index = int(name.partition(":")[2] or 0)
    if index >= n_gpus:
        raise ScenarioError([Problem(where, f"found {name!r}, but {_what_there_is(n_gpus)}")])
    return torch.device("cuda", index)


def check_precision(precision: Precision, device: torch.device, where: str = "training.precision") -> None:
    """Refuses TF32 where there is none.

    Raises:
        ScenarioError: unless the device is a GPU that has it.
    """
    import torch

    if precision != "tf32":
        return
    if device.type != "cuda":
        message = (
            f"found 'tf32', which NVIDIA's GPUs alone have, and this run computes on {device}; write float32"
        )
    elif torch.cuda.get_device_capability(device) < _TF32_SINCE:
        name = torch.cuda.get_device_name(device)
        message = f"found 'tf32', which {name} does not have (GPUs since Ampere do); write float32"
    else:
        return
    raise ScenarioError([Problem(where, message)])


def computed_on(device: torch.device, precision: Precision, deterministic: bool) -> dict[str, Any]:
    """What computed a run's tensors, and how: for its summary and its provenance."""
    import torch

    found: dict[str, Any] = {"device": str(device), "precision": precision}
    if device.type == "cuda":
        found |= {
            "name": torch.cuda.get_device_name(device),
            "deterministic": deterministic,
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
