"""Compressed files grow to a bounded size: some hundred kilobytes may otherwise unpack to all memory there is.

A small file may unpack to `_ALWAYS`, a larger one to a hundred times its own size, which tables and text do not come
near, and none to more than `GAPSLSIM_MOST_UNPACKED` (4 GiB). Who trusts a file sets this variable, and it alone counts.
"""

from __future__ import annotations

import errno
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from gapslsim.regular_files import check_regular, read_text
from gapslsim.units import parse_quantity

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "VARIABLE",
    "bounded_memory",
    "check_parquet",
    "check_zip",
    "most_unpacked",
    "parquet_frame",
    "unpacked",
]

VARIABLE: Final = "GAPSLSIM_MOST_UNPACKED"
"""Environment variable: a quantity in bytes, such as `16 GiB`."""
_MOST: Final = 4 << 30
_ALWAYS: Final = 128 << 20
_RATIO: Final = 100


def most_unpacked(packed_bytes: int) -> int:
    """How many bytes a file of this size may become.

    Raises:
        OSError: if the variable holds no size.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return min(_MOST, max(_ALWAYS, _RATIO * packed_bytes))
    try:
        return int(parse_quantity(given, "B"))
    except ValueError as error:
        raise OSError(errno.EINVAL, f"{VARIABLE}: {error}") from None


@contextmanager
def bounded_memory(path: Path) -> Iterator[None]:
    """Bounds what a reader takes that cannot be bounded otherwise, as far as the system can (Linux).

    Raises:
        OSError: in place of MemoryError, if the file takes more than one of its size may become.
    """
    most = most_unpacked(check_regular(path).st_size)
    with ExitStack() as after:
        with suppress(ImportError, OSError, ValueError):
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_AS)
            pages = int(read_text(Path("/proc/self/statm")).split()[0])
            wanted = pages * resource.getpagesize() + most
            if soft == resource.RLIM_INFINITY or wanted < soft:
                resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
                after.callback(resource.setrlimit, resource.RLIMIT_AS, (soft, hard))
        try:
            yield
        except MemoryError:
            raise _too_large(path, most) from None


def unpacked(path: Path) -> BinaryIO:
    """What a file holds, unpacked as its name says (.gz, .bz2, .xz, .zip with one file), while it is read.

    Raises:
        OSError: also while it is read, if it is no regular file or becomes too large.
    """
    most = most_unpacked(check_regular(path).st_size)
    opener = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}.get(path.suffix.lower())
    if path.suffix.lower() == ".zip":
        inner = _only_member(path)
    else:
        inner = path.open("rb") if opener is None else import_module(opener).open(path)
    return io.BufferedReader(_Counted(inner, most, path))


class _Counted(io.RawIOBase):
    """A stream that ends with an error where it becomes too long."""

    def __init__(self, inner: BinaryIO, most: int, path: Path) -> None:
        self._inner, self._left, self._most, self._path = inner, most, most, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise OSError(errno.EINVAL, f"it is cut short or damaged ({error})", str(self._path)) from error
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._path, self._most)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


def _only_member(path: Path) -> BinaryIO:
    check_zip(path)
    try:
        archive = zipfile.ZipFile(path)
        names = [info for info in archive.infolist() if not info.is_dir()]
        if len(names) != 1:
            raise OSError(errno.EINVAL, f"it holds {len(names)} files; leave one in it", str(path))
        return archive.open(names[0])  # type: ignore[return-value]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise OSError(errno.EINVAL, f"it cannot be unpacked ({error})", str(path)) from error


def check_zip(path: Path) -> None:
    """Looks at what an archive says that it holds; no member gives more than it says.

    Raises:
        OSError: if it is too much, or no archive.
    """
    most = most_unpacked(check_regular(path).st_size)
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise OSError(errno.EINVAL, f"it is no whole zip archive ({error})", str(path)) from error
    if total > most:
        raise _too_large(path, most)


def check_parquet(path: Path) -> None:
    """Looks at a Parquet file before its columns are read: one value with a count may stand for a billion rows.

    Raises:
        OSError: if it would take too much.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    most = most_unpacked(check_regular(path).st_size)
    with pq.ParquetFile(path) as file:
        about, schema = file.metadata, file.schema
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        fixed = 8 * sum(group.num_rows for group in groups) * about.num_columns
        if max(fixed, sum(group.total_byte_size for group in groups)) > most:
            raise _too_large(path, most)
        # A long text that many rows share is stored once: its length counts for each of them.
        texts = [
            column.name
            for i in range(about.num_columns)
            if (column := schema.column(i)).physical_type == "BYTE_ARRAY" and column.path == column.name
        ]
    if not texts:
        return
    size = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(columns=texts):
            for column in batch.columns:
                if hasattr(column, "dictionary"):
                    lengths = pc.binary_length(column.dictionary)
                    size += pc.sum(lengths.take(column.indices)).as_py() or 0
            if size > most:
                raise _too_large(path, most)


def parquet_frame(path: Path) -> pd.DataFrame:
    """A Parquet file that was checked, as a DataFrame.

    Raises:
        OSError: if it cannot be read: what a file says of itself, for pandas too, may be anything.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path, engine="pyarrow")
    except MemoryError:
        raise
    except Exception as error:
        why = (
            error.strerror
            if isinstance(error, OSError) and error.strerror
            else f"{type(error).__name__}: {error}"
        )
        raise OSError(errno.EINVAL, f"its columns cannot be read ({why})", str(path)) from error


def _too_large(path: Path, most: int) -> OSError:
    fix = f"if you trust it, set {VARIABLE}, for instance to '16 GiB'"
    return OSError(errno.EFBIG, f"it unpacks to more than {most / 2**20:,.0f} MiB; {fix}", str(path))
