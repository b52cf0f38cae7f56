"""Files are written whole or not at all, and one that gapslsim did not write is never replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gapslsim.errors import ResultsError
from gapslsim.regular_files import is_file, open_regular
from gapslsim.whole_files import make_folder, whole_path

__all__ = ["check_replaces", "whole", "write_output", "write_text"]

_LOOKED_AT: Final = 1 << 16
_MARKS: Final = (b"gapslsim", b"Matplotlib", b'"server_of"')
"""In pages, in pictures, and in trained models."""
_ALIKE: Final = 8
"""Characters at the start that tables and traces have in common with those that they replace: `| run | `."""


def check_replaces(path: Path, start: str = "") -> None:
    """Says whether a file may be written there.

    Args:
        path: of the file.
        start: how the new text begins, where that tells what it is.

    Raises:
        ResultsError: if another file is there, as far as its beginning and its end tell.
    """
    if not is_file(path):
        return
    try:
        with open_regular(path) as file:
            head = file.read(_LOOKED_AT)
            file.seek(max(path.stat().st_size - _LOOKED_AT, 0))
            ends = head + file.read()
    except OSError as error:
        raise ResultsError(f"{path} cannot be read, so that it is not replaced: {error.strerror}") from error
    is_own = head.startswith(start[:_ALIKE].encode()) if start else any(mark in ends for mark in _MARKS)
    if head and not is_own:
        raise ResultsError(
            f"{path} is there and was not written by this command; give another name, or delete it first"
        )


def write_output(path: Path, text: str, *, tells: bool = True) -> None:
    """Writes a text file, whole or not at all, and never over another one.

    Args:
        path: that the user gave.
        text: what to write.
        tells: whether its beginning tells what it is; false for a page, which begins as all pages do.

    Raises:
        ResultsError: if another file is there, or it cannot be written.
    """
    check_replaces(path, text if tells else "")
    write_text(path, text)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file, which takes its place when the block ends: whole or not at all.

    Raises:
        ResultsError: if it cannot be written.
    """
    try:
        make_folder(path.parent)
        with whole_path(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise ResultsError(f"{path} could not be written: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all; see `whole`."""
    with whole(path) as unfinished:
        # What no text can hold, such as half a surrogate pair in a name, is written by its number.
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
