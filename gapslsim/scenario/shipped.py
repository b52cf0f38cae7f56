"""Scenario and study files that come with the package."""

from __future__ import annotations

from pathlib import Path

from gapslsim.errors import ComponentError
from gapslsim.hardware.shipped import shipped_folder

__all__ = ["shipped_scenarios", "shipped_studies"]

_STUDIES = "studies"
"""Name of folders within the scenarios that hold studies: files of another form."""


def shipped_scenarios() -> dict[str, Path]:
    """File of every shipped scenario by its name, for instance `quickstart` or `paper/small/gapsl`."""
    return {name: file for name, file in _files().items() if not _is_study(name)}


def shipped_studies() -> dict[str, Path]:
    """File of every shipped study by its name, for instance `studies/quickstart` or `paper/studies/table1`."""
    return {name: file for name, file in _files().items() if _is_study(name)}


def _is_study(name: str) -> bool:
    return _STUDIES in name.split("/")[:-1]


def _files() -> dict[str, Path]:
    try:
        folder = shipped_folder("scenarios")
    except ComponentError:
        return {}
    files = sorted(folder.rglob("*.yaml"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
