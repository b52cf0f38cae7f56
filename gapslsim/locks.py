"""Who holds a file, alone or together with others, between processes and machines. The only place that locks.

`flock` does it where the system and the file system have it: the system lets a lock go however its process ends.
Elsewhere (Windows, Lustre without `-o flock`, some NFS and FUSE) each holder leaves a small file beside the held one.
It says who that is, and its time of change is a heart beat. One whose process is gone, or whose heart does not beat
any more, does not count.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any, Final

from gapslsim.regular_files import read_text

__all__ = ["DEAD_AFTER_S", "Hold", "Holder", "Turns", "claims_of", "take"]

_fcntl: Any
try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None

# Which of the two it is depends on the system and its file system.
_BUSY: Final = (BlockingIOError, PermissionError)
_BEAT_S: Final = 15.0
DEAD_AFTER_S: Final = 180.0
"""Without a heart beat; NFS may show a time of change that is a minute old."""
_LONGEST_TURN_S: Final = 300.0
_LOOK_S: Final = 2e-3
_MOUNTS: Final = Path("/proc/self/mounts")
_FOR_ONE_MACHINE: Final = {"localflock", "local_lock=flock", "local_lock=all"}
"""Options of Lustre and NFS under which `flock` says yes and other machines never hear of it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds something, or held it last."""

    pid: int
    host: str
    since: str
    """When it began, as local time with offset."""
    space: str = ""
    """Within which the number of its process means something: containers may share a host's name."""

    @classmethod
    def me(cls) -> Holder:
        """This process, now."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), now, _space())

    @classmethod
    def read(cls, file: Path) -> Holder | None:
        """Of whom a file says that it is held; None if it says nothing."""
        try:
            found = json.loads(read_text(file, follow=False))
            return cls(int(found["pid"]), *(str(found[name]) for name in ("host", "since", "space")))
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    @property
    def text(self) -> str:
        """As `read` takes it."""
        return json.dumps(asdict(self))

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that is no more; False where that cannot be told."""
        # On Windows a signal 0 is no question.
        if (self.host, self.space) != (socket.gethostname(), _space()) or sys.platform == "win32":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
        return False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, begun {self.since}"


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


@dataclass(eq=False)
class Hold:
    """What keeps a file held, until it is let go or the process ends."""

    how: str = ""
    """In words, where it is not the system's lock."""
    _descriptor: int = -1
    _claim: Path | None = None

    def release(self) -> None:
        """Lets go; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._claim is not None:
            _HEART.forget(self._claim)
            with suppress(OSError):
                self._claim.unlink(missing_ok=True)
            self._claim = None

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def take(file: Path, *, shared: bool = False) -> Hold | None:
    """Holds a file, which is made if need be, if nobody stands in the way. Never waits.

    Args:
        file: which.
        shared: together with others that hold it so.

    Returns:
        What holds it until it is released; None if somebody else does.

    Raises:
        OSError: if the file cannot be made or opened, or, where there is no `flock`, nothing can be written beside it.
    """
    descriptor = _open(file)
    try:
        if _is_for_one_machine(file):
            why = "flock reaches no further than one machine"
        elif _fcntl is None:
            why = "this system has no flock"
        else:
            # `flock`, not `lockf`: a lock of a process would be lost when it closes any other handle of the file.
            _fcntl.flock(descriptor, (_fcntl.LOCK_SH if shared else _fcntl.LOCK_EX) | _fcntl.LOCK_NB)
            kept, descriptor = descriptor, -1
            return Hold(_descriptor=kept)
    except _BUSY:
        return None
    except OSError as error:
        # ENOSYS, ENOLCK, EOPNOTSUPP as a rule; whatever it is, there is no lock to be had.
        why = f"flock fails here: {errno.errorcode.get(error.errno or 0, '')} {error.strerror}"
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return _claimed(file, shared, f"{why}; who is at work is told by files with a heart beat instead")


def _open(file: Path) -> int:
    """For writing, which locks of NFS ask for; nothing is followed or waited for."""
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


def claims_of(file: str) -> str:
    """Regular expression of the files beside one whose name matches another, where there is no `flock`."""
    return rf"\.({file})\.(shared|alone)-[0-9a-f]{{32}}\.held"


def _claimed(file: Path, shared: bool, how: str) -> Hold | None:
    """First says that it holds the file, then looks who else does: of two at the same time none may be sure."""
    for wait_s in (0.05 + 0.1 * (os.getpid() % 7), 0.0):
        claim = file.with_name(f".{file.name}.{'shared' if shared else 'alone'}-{uuid.uuid4().hex}.held")
        with claim.open("x", encoding="utf-8") as opened:
            opened.write(Holder.me().text)
        if not any(not shared or ".alone-" in other.name for other in _living(file, claim)):
            _HEART.beat_for(claim)
            return Hold(how, _claim=claim)
        claim.unlink(missing_ok=True)
        # Both have drawn back; by their numbers one looks again before the other.
        sleep(wait_s)
    return None


def _living(file: Path, own: Path) -> Iterator[Path]:
    """Claims of others that count. Those that do not are cleared away."""
    # By the clock of the file system, which all machines share.
    now = own.stat().st_mtime
    ours = re.compile(claims_of(re.escape(file.name)))
    for entry in list(os.scandir(file.parent)):
        other = Path(entry.path)
        with suppress(FileNotFoundError):
            if (
                other.name == own.name
                or not ours.fullmatch(other.name)
                or not entry.is_file(follow_symlinks=False)
            ):
                continue
            holder = Holder.read(other)
            if now - other.stat().st_mtime > DEAD_AFTER_S or (holder is not None and holder.is_gone):
                other.unlink()
            else:
                yield other


def _is_for_one_machine(file: Path) -> bool:
    """Whether `flock` would be kept from other machines by how the file system is mounted."""
    try:
        lines = [line.split() for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return False
    path = os.path.realpath(file)
    holding = [
        (len(mount), options)
        for _, mount, _, options, *_ in (line for line in lines if len(line) > 3)
        if path.startswith(mount.rstrip("/") + "/")
    ]
    return bool(holding) and not _FOR_ONE_MACHINE.isdisjoint(max(holding)[1].split(","))


class Turns:
    """Of many things, each by a number, one process at a time does one; the others wait.

    Record locks on the bytes of a file, so that no thing needs a file. Where there are none, nobody waits for anybody.

    Args:
        file: whose bytes stand for the things; it stays empty.
    """

    def __init__(self, file: Path) -> None:
        self._descriptor = -1
        with suppress(OSError):
            self._descriptor = _open(file)

    @contextmanager
    def of(self, numbers: Iterable[int]) -> Iterator[None]:
        """Has all of these turns; waits for those of others, but not for ever: one that was stopped may hold one."""
        taken: list[int] = []
        deadline_s = monotonic() + _LONGEST_TURN_S
        try:
            # In one order, so that two never wait for each other.
            for number in sorted(set(numbers)):
                while self._descriptor >= 0 and not self._take(number) and monotonic() < deadline_s:
                    sleep(_LOOK_S)
                taken.append(number)
            yield
        finally:
            for number in taken if self._descriptor >= 0 else ():
                with suppress(OSError):
                    _fcntl.lockf(self._descriptor, _fcntl.LOCK_UN, 1, number)

    def _take(self, number: int) -> bool:
        try:
            _fcntl.lockf(self._descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB, 1, number)
        except _BUSY:
            return False
        except (OSError, AttributeError):  # no such locks here, or no fcntl
            self.close()
        return True

    def close(self) -> None:
        """Gives up every turn."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(eq=False)
class _Heart:
    """Touches this process's claims now and then, in one thread for all."""

    _claims: set[Path] = field(default_factory=set)
    _guard: Any = field(default_factory=Lock)
    _is_beating: bool = False

    def beat_for(self, claim: Path) -> None:
        with self._guard:
            self._claims.add(claim)
            if not self._is_beating:
                self._is_beating = True
                Thread(target=self._beat, daemon=True, name="heart beat of locks").start()

    def forget(self, claim: Path) -> None:
        with self._guard:
            self._claims.discard(claim)

    def _beat(self) -> None:
        while True:
            sleep(_BEAT_S)
            with self._guard:
                claims = list(self._claims)
                self._is_beating = bool(claims)
            if not claims:
                return
            for claim in claims:
                with suppress(OSError):
                    os.utime(claim)


_HEART: Final = _Heart()
