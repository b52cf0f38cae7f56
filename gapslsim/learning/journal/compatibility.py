"""What must be the same for two runs to give the same bits: kept with a journal, never part of a content key."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from gapslsim.kernels import in_use
from gapslsim.own_components import digests

__all__ = ["FORMAT", "compatibility", "differences", "programs"]

FORMAT: Final = 1
"""Version of a journal's files; raised with every change to them."""

_SOLVERS: Final = ("clarabel", "cvxpy", "ecos", "qpsolvers", "quadprog", "scipy")
"""Of TorchJD's aggregators; those that are not installed are `unknown`."""

_SOURCES: Final = ("learning", "models", "data", "frameworks/rules", "numerics.py", "rng.py", "work.py")


def compatibility(
    execution: dict[str, Any], device: str, dtype: str, components: Iterable[str] = ()
) -> dict[str, Any]:
    """Everything besides the set-up that the bits of a result may depend on.

    Args:
        execution: settings of how tensors are computed (threads and the like).
        device: torch device, for instance `cpu` or `cuda:0`.
        dtype: of parameters and activations.
        components: files and modules of the user's own that the scenario names.
    """
    import torch

    # Left out where there are none, so that journals of runs without own components stay valid.
    own = digests(components)
    found: dict[str, Any] = {
        **programs(),
        **({"components": own} if own else {}),
        "device": device.partition(":")[0],  # which of several GPUs of a kind is of no account
        "dtype": dtype,
        "execution": execution,
        "machine": platform.machine(),
        "processor": _processor(),
        # Kernels are chosen by vector instructions, and sums in other widths round otherwise.
        "kernels": in_use()["kernels"],
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    if device.startswith("cuda"):
        found["accelerator"] = torch.cuda.get_device_name(device)
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return found


@cache
def programs() -> dict[str, Any]:
    """Versions of all programs that compute, and the digest of our own."""
    from gapslsim._version import __version__

    versions = {name: _version(name) for name in ("torch", "torchjd", "numpy", *_SOLVERS)}
    return {"format": FORMAT, "gapslsim": __version__, "code": _code_digest(), **versions}


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """What differs, in words: `torch 2.13.0 (here 2.14.0)`."""
    return [
        f"{name} {_shown(theirs.get(name))} (here {_shown(ours.get(name))})"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)[:60]


@cache
def _code_digest() -> str:
    """Digest of the code that computes: a journal of other code is another journal, whatever the version says."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for source in _SOURCES:
        place = root / source
        # Sorted, since the order of a listing depends on the file system; with names, so that moved code
        # counts as a change.
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _processor() -> str:
    """Model of the processor: libraries choose their kernels by it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
