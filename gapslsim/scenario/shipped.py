"""Scenario files that come with the package."""

from __future__ import annotations

from pathlib import Path

from gapslsim.errors import ComponentError
from gapslsim.hardware.shipped import shipped_folder

__all__ = ["shipped_scenarios"]


def shipped_scenarios() -> dict[str, Path]:
    """File of every shipped scenario by its name, for instance `quickstart` or `paper/small/gapsl`."""
    try:
        folder = shipped_folder("scenarios")
    except ComponentError:
        return {}
    files = sorted(folder.rglob("*.yaml"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
