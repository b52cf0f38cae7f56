"""Advisory locks on files: who is still writing, and which folders are in use. Nothing where the system has none."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, Final

__all__ = ["lock", "open_lock", "unlock"]

_fcntl: Any
try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None

# Which of the two it is depends on the system and its file system.
_BUSY: Final = (BlockingIOError, PermissionError)


def open_lock(file: Path) -> int:
    """Opens a file to lock it, made if need be.

    Raises:
        OSError: if it cannot be opened, or is a link, a pipe or a second name of another file.
    """
    no_other = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | no_other, 0o644)
    status = os.fstat(descriptor)
    # Its holder writes to it, so that it must be nobody else's file.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise OSError(
            errno.EINVAL, "it is no file of its own but a pipe, a device or a second name", str(file)
        )
    return descriptor


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Takes a lock if nobody stands in the way; held until the file is closed, also by a kill. Never waits."""
    if _fcntl is None:
        return True
    try:
        # `flock`, not `lockf`: a lock of a process would be lost when it closes any other handle of the file.
        _fcntl.flock(descriptor, (_fcntl.LOCK_SH if shared else _fcntl.LOCK_EX) | _fcntl.LOCK_NB)
    except _BUSY:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Lets a lock go."""
    if _fcntl is not None:
        _fcntl.flock(descriptor, _fcntl.LOCK_UN)
