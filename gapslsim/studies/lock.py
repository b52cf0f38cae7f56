"""One sweep at a time in a directory, or any number of its shards: a held file that says by which process.

The hold ends with its process, however that ends. What the file still says then is told to whoever comes next: that
sweep was killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gapslsim.errors import ResultsError
from gapslsim.locks import Hold, Holder, take
from gapslsim.whole_files import make_folder

__all__ = ["LOCK", "BusyError", "held", "holder_of", "left_behind"]

LOCK: Final = ".lock"
"""Name of the file; it is empty where nobody sweeps and nobody was killed."""


class BusyError(ResultsError):
    """Somebody else holds a file."""

    def __init__(self, text: str, file: Path) -> None:
        super().__init__(text)
        self.file = file


@contextmanager
def held(
    directory: Path, name: str = LOCK, *, shared: bool = False, who: str = "another sweep"
) -> Iterator[Hold]:
    """Holds a directory, which is made if need be, until the block ends.

    Args:
        directory: which.
        name: of the file in it.
        shared: with others that hold it so; then the file does not say by whom.
        who: may be at work there, for messages.

    Raises:
        BusyError: if another process holds it.
        ResultsError: if it cannot be written to.
    """
    file = directory / name
    try:
        make_folder(directory)
        hold = take(file, shared=shared)
        if hold is None:
            by = Holder.read(file) or "it has just begun, or shards are at work"
            raise BusyError(
                f"{who} is at work in {directory} ({by}); wait until it ends, stop it and go on with --resume, or give "
                "another directory with --out",
                file,
            )
        # Written once it is held: who reads it meanwhile learns whom to wait for.
        if not shared:
            file.write_text(Holder.me().text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{file} could not be written: {error.strerror or error}") from error
    with hold:
        try:
            yield hold
        finally:
            if not shared:
                with suppress(OSError):  # on a full disk the next one is told of a kill
                    file.write_text("", encoding="utf-8")


def left_behind(directory: Path, name: str = LOCK) -> Holder | None:
    """Whose sweep was killed in a directory; None if the last one ended by itself, or is still at work."""
    holder, is_at_work = holder_of(directory / name)
    return None if is_at_work else holder


def holder_of(file: Path) -> tuple[Holder | None, bool]:
    """Who holds a file or held it when it was killed, and whether it still does."""
    holder = Holder.read(file)
    if holder is None:
        return None, False
    try:
        hold = take(file)
    except OSError:
        return holder, True
    if hold is None:
        return holder, True
    hold.release()
    return holder, False
