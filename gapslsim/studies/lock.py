"""One sweep at a time in a directory: a locked file that says which process holds it, and on which machine.

The system lets a lock go when its process ends, however it ends. What the file still says then is told to whoever comes
next: that sweep was killed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gapslsim.errors import ResultsError
from gapslsim.learning.journal.locks import lock, open_lock

__all__ = ["LOCK", "held", "left_behind"]

LOCK: Final = ".lock"
"""Name of the file; it is empty where nobody sweeps and nobody was killed."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a directory, or held it last."""

    pid: int
    host: str
    since: str
    """When it began, as local time with offset."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, begun {self.since}"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Holds a directory, which is made if need be, until the block ends.

    Raises:
        ResultsError: if another process holds it, or it cannot be written to.
    """
    file = directory / LOCK
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = open_lock(file)
    except OSError as error:
        raise ResultsError(f"{file} could not be written: {error.strerror or error}") from error
    try:
        # The lock decides, not the content: a file alone would outlive a killed process.
        if not lock(descriptor):
            who = _read(file)
            raise ResultsError(
                f"another sweep is at work in {directory} ({who or 'it has just begun'}); wait until it ends, stop it "
                "and go on with --resume, or give another directory with --out"
            )
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        # Written once the lock is held: who reads it meanwhile learns whom to wait for.
        text = json.dumps(asdict(Holder(os.getpid(), socket.gethostname(), now)))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def left_behind(directory: Path) -> Holder | None:
    """Whose sweep was killed in a directory; None if the last one ended by itself, or is still at work."""
    file = directory / LOCK
    holder = _read(file)
    if holder is None:
        return None
    try:
        with file.open("rb") as stream:
            return holder if lock(stream.fileno()) else None
    except OSError:
        return None


def _read(file: Path) -> Holder | None:
    try:
        return Holder(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
