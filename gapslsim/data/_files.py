"""Files that a data set or partition of the user's own names: found, and digested for the content key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from gapslsim.errors import DataError
from gapslsim.own_path import OwnPath
from gapslsim.regular_files import is_file, open_regular, real_path

__all__ = ["OwnPath", "digest_of", "found_file", "found_folder", "state_of"]


_digests: Final[dict[tuple[object, ...], str]] = {}


def found_file(path: Path, setting: str) -> Path:
    """The file itself. Raises DataError that begins with the setting, if it is none."""
    if is_file(path):
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
    found = [(real_path(path), path.stat()) for path in paths]
    return tuple((str(path), file.st_size, file.st_mtime_ns) for path, file in found)


def digest_of(paths: Iterable[Path]) -> str:
    """SHA-256 of what files hold, wherever they lie; read once per process for as long as they are the same.

    Raises:
        DataError: if one cannot be read: a pipe, or a link that leads nowhere, among images for instance.
    """
    paths = list(paths)
    try:
        state = state_of(paths)
        if state not in _digests:
            digest = hashlib.sha256()
            for path in paths:
                with open_regular(path) as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())  # type: ignore[arg-type]
            _digests[state] = digest.hexdigest()
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read ({error.strerror}); replace it or take it out."
        ) from error
    return _digests[state]
