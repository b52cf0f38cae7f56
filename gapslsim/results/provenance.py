"""Where a run was made: versions, commit, machine, command line."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from gapslsim._version import __version__
from gapslsim.kernels import in_use
from gapslsim.own_components import digests

__all__ = ["provenance"]


def provenance(
    *,
    seed: int,
    wall_time_s: float,
    command: Sequence[str] | None = None,
    computed_on: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything about the surroundings of a run that could explain a difference between two runs.

    Args:
        seed: the scenario's seed.
        wall_time_s: how long the run took until now [s]; gives its start time.
        command: the command line; this process's own by default.
        computed_on: see `torch_device.computed_on`; None for timing alone.
    """
    return {
        "gapslsim": __version__,
        "git": _own_git_state(),
        "python": platform.python_version(),
        "packages": dict(_packages()),
        "components": digests(),
        "seed": seed,
        "kernels": in_use(),
        "computed_on": None if computed_on is None else dict(computed_on),
        "machine": {
            "system": platform.system(),
            "release": platform.release(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "n_cpus": os.cpu_count(),
            "torch_threads": _torch_threads(),
        },
        "started": (datetime.now(UTC) - timedelta(seconds=wall_time_s)).isoformat(timespec="seconds"),
        "command": list(command) if command is not None else list(sys.argv),
    }


@cache
def _own_git_state() -> dict[str, Any] | None:
    """Of the code that runs; asked once per process, which goes on with what it has loaded."""
    return git_state(Path(__file__).resolve().parents[1])


def git_state(package: Path) -> dict[str, Any] | None:
    """Commit of the checkout that the package lies in, and whether files differ from it.

    Returns:
        None if the package is installed elsewhere, for instance in an environment inside another project's checkout.
    """
    root = _git(package, "rev-parse", "--show-toplevel")
    if root is None or Path(root).resolve() != package.parent:
        return None
    changes = _git(package, "status", "--porcelain")
    return {
        "commit": _git(package, "rev-parse", "--verify", "--quiet", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command; None if it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def _packages() -> dict[str, str]:
    """Installed versions of the packages that gapslsim requires; read once per process."""
    found: dict[str, str] = {}
    with suppress(metadata.PackageNotFoundError):
        required = [text for text in metadata.requires("gapslsim") or [] if "extra ==" not in text]
        for name in sorted(re.findall(r"^[A-Za-z0-9._-]+", "\n".join(required), re.MULTILINE)):
            with suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
    return found


@cache
def _processor() -> str:
    """Model of the processor where the system says it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.processor()


def _torch_threads() -> int | None:
    """Threads of tensor operations; None where no tensor was ever touched."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else None
