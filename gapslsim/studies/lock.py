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

__all__ = ["LOCK", "held", "left_behind"]

LOCK: Final = ".lock"
"""Name of the file; it is empty where nobody sweeps and nobody was killed."""


@contextmanager
def held(directory: Path, name: str = LOCK, *, shared: bool = False) -> Iterator[Hold]:
    """Holds a directory, which is made if need be, until the block ends.

    Args:
        directory: which.
        name: of the file in it.
        shared: with others that hold it so; then the file does not say by whom.

    Raises:
        ResultsError: if another process holds it, or it cannot be written to.
    """
    file = directory / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        hold = take(file, shared=shared)
        if hold is None:
            raise ResultsError(
                f"another sweep is at work in {directory} ({Holder.read(file) or 'it has just begun'}); wait until it "
                "ends, stop it and go on with --resume, or give another directory with --out"
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
    holder = Holder.read(directory / name)
    if holder is None:
        return None
    try:
        hold = take(directory / name)
    except OSError:
        return None
    if hold is None:
        return None
    with hold:
        return holder
