"""Files that a data set or partition of the user's own names: found, and digested for the content key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ValidationInfo

from gapslsim.errors import DataError

__all__ = ["OwnPath", "digest_of", "found_file", "found_folder", "state_of"]


def _beside_the_scenario(path: Path, info: ValidationInfo) -> Path:
    """A relative path made absolute from the scenario's folder, unless it is only in the current directory."""
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    path = path.expanduser()
    if folder is None or (path.exists() and not (Path(folder) / path).exists()):
        return path
    return (Path(folder) / path).resolve()


OwnPath = Annotated[Path, AfterValidator(_beside_the_scenario)]
"""A file or folder: relative to the scenario file where it is there, else to the current directory."""

_digests: Final[dict[tuple[object, ...], str]] = {}


def found_file(path: Path, setting: str) -> Path:
    """The file itself. Raises DataError that begins with the setting, if it is none."""
    if path.is_file():
        return path
    near = (
        ", ".join(sorted(other.name for other in path.parent.glob(f"*{path.suffix}"))[:6]) or "no such file"
    )
    raise DataError(
        f"{setting} names {str(path)!r}, which is no file; its folder holds {near}. Give a path relative to the "
        "scenario file or to the current directory."
    )


def found_folder(path: Path, setting: str) -> Path:
    """The folder itself. Raises DataError that begins with the setting, if it is none."""
    if path.is_dir():
        return path
    raise DataError(
        f"{setting} names {str(path)!r}, which is no folder. Give a path relative to the scenario file or to the "
        "current directory."
    )


def state_of(paths: Iterable[Path]) -> tuple[Any, ...]:
    """Where files lie and when each was last written: says within a process whether they are the same."""
    found = [(path.resolve(), path.stat()) for path in paths]
    return tuple((str(path), file.st_size, file.st_mtime_ns) for path, file in found)


def digest_of(paths: Iterable[Path]) -> str:
    """SHA-256 of what files hold, wherever they lie; read once per process for as long as they are the same."""
    paths = list(paths)
    state = state_of(paths)
    if state not in _digests:
        digest = hashlib.sha256()
        for path in paths:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        _digests[state] = digest.hexdigest()
    return _digests[state]
