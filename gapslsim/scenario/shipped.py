"""Scenario and study files that come with the package."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

from gapslsim.errors import ComponentError, Problem, ScenarioError, did_you_mean
from gapslsim.hardware.shipped import shipped_folder
from gapslsim.regular_files import check_regular, is_file

__all__ = ["find_scenario", "find_study", "shipped_scenarios", "shipped_studies"]

_STUDIES = "studies"
"""Name of folders within the scenarios that hold studies: files of another form."""


def shipped_scenarios() -> dict[str, Path]:
    """File of every shipped scenario by its name, for instance `quickstart` or `paper/small/gapsl`."""
    return {name: file for name, file in _files().items() if not _is_study(name)}


def shipped_studies() -> dict[str, Path]:
    """File of every shipped study by its name, for instance `studies/quickstart` or `paper/studies/table1`."""
    return {name: file for name, file in _files().items() if _is_study(name)}


def find_scenario(path: str | Path) -> Path:
    """A scenario's file, or that of the shipped one of this name. Raises ScenarioError if there is neither."""
    fix = "give a scenario file, or a shipped scenario's name (see 'gapslsim list scenario')."
    return _find(path, shipped_scenarios(), fix)


def find_study(path: str | Path) -> Path:
    """A study's file, or that of the shipped one of this name. Raises ScenarioError if there is neither."""
    shipped = shipped_studies()
    brief = {name.removeprefix(f"{_STUDIES}/"): file for name, file in shipped.items()}
    return _find(path, brief | shipped, "give a study file.")


def _find(path: str | Path, shipped: dict[str, Path], fix: str) -> Path:
    file = Path(path)
    if is_file(file):
        return file
    if str(path) in shipped:
        return shipped[str(path)]
    near, what = [], "there is no such file"
    with suppress(OSError, ValueError):
        near = [str(other) for other in file.parent.glob("*.y*ml") if other.is_file()]
    try:
        check_regular(file)
    except OSError as error:
        what = (
            what if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG) else f"{error.strerror}"
        )
    hint = did_you_mean(str(path), [*near, *shipped])
    raise ScenarioError([Problem("", f"{what}; {fix}{hint}", str(path))])


def _is_study(name: str) -> bool:
    return _STUDIES in name.split("/")[:-1]


def _files() -> dict[str, Path]:
    try:
        folder = shipped_folder("scenarios")
    except ComponentError:
        return {}
    files = sorted(folder.rglob("*.yaml"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
