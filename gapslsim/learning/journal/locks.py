"""Advisory locks on files: who is still writing, and which folders are in use. Nothing where the system has none."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["lock", "unlock"]

_fcntl: Any
try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None

# Which of the two it is depends on the system and its file system.
_BUSY: Final = (BlockingIOError, PermissionError)


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
