"""The rows of a run under way: tuples, soon columns, and beyond a bound Parquet in a file that has no name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from gapslsim.errors import ResultsError
from gapslsim.tables.table import ParquetTable, Table, columns_of, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Chunk", "Codes", "Rows"]

Chunk = dict[str, NDArray[Any]]
"""Some rows, a column an array; text as its `Codes`."""


class Codes(dict[str, int]):
    """A number for each text, in the order in which they were first met."""

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code


class Rows(Table):
    """A table that grows. A run of any length takes bounded memory, and one that is killed leaves no file behind.

    Args:
        row_type: class of named tuples whose fields are the columns; rows may be plain tuples.
    """

    FOLDED_AT: ClassVar = 1 << 14
    """Tuples that are kept as such."""
    SPILLED_AT: ClassVar = 1 << 19
    """Rows that are kept in memory; then they become a row group of the file."""

    def __init__(self, row_type: type[Any], rows: Iterable[Sequence[Any]] = ()) -> None:
        self.columns = columns_of(row_type)
        self.codes = {name: Codes() for name, kind in self.columns.items() if kind is str}
        self.folder: Path | None = None
        """Where the file is made; the system's directory for temporary files if None."""
        self.when_folded: list[Callable[[Chunk], None]] = []
        """Called with rows when they become columns, once each."""
        self.when_spilled: list[Callable[[Chunk], None]] = []
        """Called with rows when they leave memory, once each."""
        self.recent: list[Sequence[Any]] = []
        """The last rows."""
        self._named = row_type.__name__
        self._made: Callable[[Iterable[Any]], Any] = row_type._make
        self._chunks: list[Chunk] = []
        self._n_folded = 0
        self._n_spilled = 0
        self._file: BinaryIO | None = None
        self._writer: Any = None
        self._wrong = ""
        self.extend(rows)

    def __len__(self) -> int:
        return self._n_spilled + self._n_folded + len(self.recent)

    def __iter__(self) -> Iterator[Any]:
        """The rows as named tuples, the simplest and the slowest way to look at them."""
        for batch in self.batches({}):
            yield from map(self._made, zip(*(column.to_pylist() for column in batch.columns), strict=True))

    def append(self, row: Sequence[Any]) -> None:
        """Adds a row.

        Raises:
            ResultsError: if the file is full.
        """
        self.recent.append(row)
        if len(self.recent) >= self.FOLDED_AT:
            self.fold()

    def extend(self, rows: Iterable[Sequence[Any]]) -> None:
        """Adds rows."""
        for row in rows:
            self.append(row)

    def fold(self) -> None:
        """Makes columns of the last rows.

        Raises:
            ResultsError: if the file is full.
            ValueError: if a row has more or fewer fields than its class.
        """
        if not self.recent:
            return
        n, kinds = len(self.recent), list(self.columns.items())
        try:
            given = list(zip(*self.recent, strict=True))
        except ValueError:
            given = []
        if len(given) != len(kinds):
            raise ValueError(f"A row of {self._named} has {len(kinds)} fields; found another number.")
        chunk: Chunk = {}
        for (name, kind), column in zip(kinds, given, strict=True):
            if kind is str:
                chunk[name] = np.fromiter(map(self.codes[name].__getitem__, column), np.int32, n)
            else:
                chunk[name] = np.fromiter(column, kind, n)
        for told in self.when_folded:
            told(chunk)
        self.recent = []
        self._chunks.append(chunk)
        self._n_folded += n
        if self._n_folded >= self.SPILLED_AT:
            self._spill()

    def end(self) -> None:
        """Nothing more comes: lets go of those who are told of rows."""
        self.fold()
        self.when_folded.clear()
        self.when_spilled.clear()

    def held(self) -> Chunk:
        """The rows that are in memory."""
        self.fold()
        if len(self._chunks) != 1:
            kinds = {name: np.int32 if kind is str else kind for name, kind in self.columns.items()}
            none: Chunk = {name: np.zeros(0, kind) for name, kind in kinds.items()}
            chunks = self._chunks or [none]
            self._chunks = [{name: np.concatenate([c[name] for c in chunks]) for name in none}]
        return self._chunks[0]

    def batches(
        self, within: Mapping[str, tuple[float, float]], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """See the base class."""
        self.fold()
        if self._file is None:
            yield self._arrow(self.held())
        else:
            yield from ParquetTable(self._finished(self._file)).batches(within, columns)

    def _write(self, file: BinaryIO) -> None:
        if self._file is None:
            super()._write(file)
            return
        written = self._finished(self._file)
        written.seek(0)
        shutil.copyfileobj(written, file, 1 << 24)

    @property
    def _schema(self) -> pa.Schema:
        return schema_of(self.columns)

    def _arrow(self, chunk: Chunk) -> pa.Table:
        import pyarrow as pa

        schema = self._schema
        arrays = []
        for field in schema:
            values = chunk[field.name]
            if field.name in self.codes:
                names = pa.array(list(self.codes[field.name]), field.type)
                arrays.append(pa.DictionaryArray.from_arrays(values, names).cast(field.type))
            else:
                arrays.append(pa.array(values, field.type, from_pandas=False))
        return pa.Table.from_arrays(arrays, schema=schema)

    def _spill(self) -> None:
        """Moves the rows in memory to the file."""
        import pyarrow.parquet as pq

        chunk = self.held()
        with self._told():
            if self._file is None:
                # Without a name, so that nothing is left of it whatever becomes of this process.
                self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
                self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
                finalize(self, _let_go, self._writer, self._file)
            elif self._writer is None:
                raise ValueError(
                    f"Rows of {self._named} were read from their file, and cannot grow any more."
                )
            self._writer.write_table(self._arrow(chunk))
            for told in self.when_spilled:
                told(chunk)
        self._n_spilled += self._n_folded
        self._n_folded, self._chunks = 0, []

    def _finished(self, file: BinaryIO) -> BinaryIO:
        """The file with all rows and what stands at its end."""
        if self._n_folded:
            self._spill()
        if self._writer is not None:
            with self._told():
                self._writer.close()
            self._writer = None
        return file

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says in words that there is no room; a table that lacks rows is never read."""
        if self._wrong:
            raise ResultsError(self._wrong)
        try:
            yield
        except OSError as error:
            where = self.folder or tempfile.gettempdir()
            self._wrong = (
                f"a table of this run cannot be kept in {where} while it goes on: {error.strerror or error}; make room "
                "there, or name another directory by --out, in Python by `simulate(..., scratch=...)`"
            )
            raise ResultsError(self._wrong) from error


def _let_go(writer: Any, file: BinaryIO) -> None:
    """The rows are gone, and their file with them; where it is full, its end cannot be written any more."""
    with suppress(OSError, ValueError):
        writer.close()
    writer.is_open = False
    with suppress(OSError):
        file.close()
