"""Input files are regular files of bounded size: a pipe, a device or a link is refused in words, and never waited for.

All errors are `OSError` with the reason in `strerror`, so that who tells of a file that cannot be read tells of these.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

__all__ = [
    "MOST_TEXT_BYTES", "check_regular", "exists", "files_sha256", "in_home", "is_file", "is_plain_name", "open_regular",
    "read_bytes", "read_text", "real_path",
]  # fmt: skip

MOST_TEXT_BYTES: Final = 64 << 20
"""Of a text that is read whole. What people write takes KB, logs and traces of a day some MB."""

_KINDS: Final = (
    (stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISLNK, "a link"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip
_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)


def check_regular(path: Path, most_bytes: int | None = None, *, follow: bool = True) -> os.stat_result:
    """Looks at a file without opening it; for libraries that open files themselves.

    Args:
        path: of the file.
        most_bytes: that it may have; None for any number.
        follow: whether a link to a regular file counts as one. False inside folders that this program fills itself:
            it writes no links there, so that one is a stranger's.

    Raises:
        OSError: if it is not there, no regular file, or too large.
    """
    try:
        status = path.stat(follow_symlinks=follow)
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have a name with a NUL in it", repr(str(path))) from None
    return _checked(status, path, most_bytes)


def open_regular(path: Path, most_bytes: int | None = None, *, follow: bool = True) -> BinaryIO:
    """Opens a file for reading; see `check_regular`.

    A file of the system (`/proc`) has no size before it is read: `read_bytes` holds it to the limit too.
    """
    # Before it is opened: to open a device may do something, and a pipe's writer would hear of a reader.
    check_regular(path, most_bytes, follow=follow)
    flags = _FLAGS | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    file = open(path, "rb", opener=lambda name, _: os.open(name, flags))  # noqa: SIM115
    try:
        _checked(os.fstat(file.fileno()), path, most_bytes)  # it may have become something else meanwhile
    except OSError:
        file.close()
        raise
    return file


def read_bytes(path: Path, most_bytes: int = MOST_TEXT_BYTES, *, follow: bool = True) -> bytes:
    """Content of a file; see `check_regular`."""
    with open_regular(path, most_bytes, follow=follow) as file:
        # Python sets aside as much memory as is asked for; only files of the system are longer than they say.
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)
        if len(content) > size:
            content += file.read(most_bytes + 1 - len(content))
    if len(content) > most_bytes:
        raise _too_large(path, len(content), most_bytes)
    return content


def read_text(
    path: Path, most_bytes: int = MOST_TEXT_BYTES, *, encoding: str = "utf-8", follow: bool = True
) -> str:
    """Text of a file, every line end as a newline; see `check_regular`.

    Raises:
        UnicodeDecodeError: if it is in another encoding.
    """
    text = read_bytes(path, most_bytes, follow=follow).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def real_path(path: str | Path) -> Path:
    """The absolute path behind links; one that leads in a circle or cannot be is left to whoever opens it."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # with a NUL
        return Path(path)


def in_home(path: str | Path) -> Path:
    """The path with `~` as a home directory; as it is where nobody is called so."""
    return Path(os.path.expanduser(path))


def is_file(path: str | Path) -> bool:
    """Whether a file lies there; also of a name that no file can have: too long, or with a NUL."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def exists(path: str | Path) -> bool:
    """The same of a file or folder."""
    return os.path.exists(path)


def files_sha256(files: Iterable[Path]) -> str:
    """SHA-256 of what files hold, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with open_regular(file) as opened:
            while part := opened.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


def is_plain_name(name: str) -> bool:
    """Whether a name that was read from a file is that of something in a folder, and leads nowhere else."""
    return name not in ("", ".", "..") and not any(sign in name for sign in "/\\:\0")


def _checked(status: os.stat_result, path: Path, most_bytes: int | None) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        what = next((word for test, word in _KINDS if test(status.st_mode)), "something else")
        number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
        raise OSError(number, f"it is {what}, not a regular file", str(path))
    if most_bytes is not None and status.st_size > most_bytes:
        raise _too_large(path, status.st_size, most_bytes)
    return status


def _too_large(path: Path, n_bytes: int, most_bytes: int) -> OSError:
    mb = f"it has {max(n_bytes, most_bytes + 1) / 1e6:,.1f} MB, more than the {most_bytes / 1e6:,.1f} MB that are read"
    return OSError(errno.EFBIG, mb, str(path))
