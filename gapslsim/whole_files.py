"""Files that are there whole or not at all, and folders for them."""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from gapslsim.regular_files import check_regular

__all__ = ["is_unfinished", "make_folder", "whole_file", "whole_path"]

_UNFINISHED: Final = re.compile(r"\..*\.[0-9a-f]{32}\.partial", re.DOTALL)
_LONGEST: Final = 50
"""Characters of a name that its unfinished file repeats: all of those that anybody looks for."""


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it; as many as a path can name, where pathlib recurses and ends at a thousand.

    Raises:
        OSError: if it cannot be made.
    """
    for each in () if folder.is_dir() else (*reversed(folder.parents), folder):
        if not each.is_dir():
            try:
                each.mkdir(exist_ok=True)
            except FileExistsError as error:  # Asked afterwards: others may make the same folder meanwhile.
                raise OSError(errno.ENOTDIR, f"{each} is a file; give a folder", str(each)) from error


def is_unfinished(name: str) -> bool:
    """Whether a file is one that was being written when its process was killed: nobody's, and worth nothing."""
    return _UNFINISHED.fullmatch(name) is not None


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Where to write a file, which takes its place when the block ends; whatever ends it, nothing else is left.

    Several processes may write the same file at once; the last one's stays.

    Raises:
        OSError: if it cannot be written.
    """
    # A file that takes the place of a device, /dev/null say, harms every program of the machine.
    if path.exists():
        check_regular(path)
    partial = path.with_name(f".{path.name[:_LONGEST]}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not name it
        raise
    finally:
        with suppress(OSError):  # what went wrong before is what is told
            partial.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """The same, opened for bytes."""
    with whole_path(path) as partial, partial.open("wb") as file:
        yield file
