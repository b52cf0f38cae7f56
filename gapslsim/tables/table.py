"""A table that is read whole, as a DataFrame, or in pieces that fit in memory."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, get_type_hints

import numpy as np

from gapslsim.errors import ResultsError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["FrameTable", "ParquetTable", "Table", "columns_of", "schema_of"]


def columns_of(row_type: type[Any]) -> dict[str, type]:
    """Column names of a table with their Python types, in order."""
    return dict(get_type_hints(row_type))


def schema_of(columns: Mapping[str, type]) -> pa.Schema:
    """As pandas writes them: text, whole numbers, numbers, truths."""
    return _schema_of(tuple(columns.items()))


@cache
def _schema_of(columns: tuple[tuple[str, type], ...]) -> pa.Schema:
    """Known once made: it takes longer than all else of a small table."""
    import pandas as pd
    import pyarrow as pa

    dtypes = {int: "int64", float: "float64", bool: "bool", str: "str"}
    empty = pd.DataFrame({name: pd.Series(dtype=dtypes[kind]) for name, kind in columns})
    return pa.Schema.from_pandas(empty, preserve_index=False)


class Table(ABC):
    """Rows of one kind, in the order in which they were written."""

    PIECE: ClassVar = 1 << 18
    """Rows of a piece, at most."""

    @abstractmethod
    def __len__(self) -> int:
        """How many rows."""

    @abstractmethod
    def batches(
        self, within: Mapping[str, tuple[float, float]], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Its parts in order, of bounded size, without those that have nothing within the bounds."""

    def pieces(
        self, columns: Sequence[str] | None = None, **within: tuple[float, float]
    ) -> Iterator[pd.DataFrame]:
        """The rows in order, as DataFrames of bounded size: a table of any length fits in memory.

        Args:
            columns: which; all by default.
            within: names of columns with the least and the greatest value of the rows that are wanted, both included:
                `round=(1, 10)`.
        """
        for batch in self.batches(within, columns and [*dict.fromkeys((*columns, *within))]):
            piece: pd.DataFrame = batch.to_pandas()
            for name, bounds in within.items():
                piece = piece[piece[name].between(*bounds)]
            yield piece if columns is None else piece[list(columns)]

    def select(self, **within: tuple[float, float]) -> pd.DataFrame:
        """The rows within some bounds in one DataFrame; see `pieces`."""
        import pandas as pd

        found = [piece for piece in self.pieces(None, **within) if len(piece)]
        return pd.concat(found, ignore_index=True) if found else self._empty

    def whole_rounds(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Pieces of which each has all rows of its rounds; rows must be in the order of rounds."""
        import pandas as pd

        left: pd.DataFrame | None = None
        for piece in self.pieces(columns):
            if left is not None:
                piece = pd.concat([left, piece], ignore_index=True)
            if len(piece):
                is_last = piece["round"] == piece["round"].iloc[-1]
                left, done = piece[is_last], piece[~is_last]
                if len(done):
                    yield done
        if left is not None:
            yield left

    def frame(self) -> pd.DataFrame:
        """All rows; the same object each time."""
        return self._frame

    def write(self, path: Path) -> None:
        """Writes a Parquet file.

        Raises:
            OSError: if it cannot be written.
        """
        with path.open("wb") as file:
            self._write(file)

    def _write(self, file: BinaryIO) -> None:
        import pyarrow.parquet as pq

        with pq.ParquetWriter(file, self._schema, compression="zstd") as writer:
            for batch in self.batches({}):
                writer.write_table(batch)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        import pyarrow as pa

        made: pd.DataFrame = pa.concat_tables([self._schema.empty_table(), *self.batches({})]).to_pandas()
        return made

    @property
    def _empty(self) -> pd.DataFrame:
        made: pd.DataFrame = self._schema.empty_table().to_pandas()
        return made

    @property
    @abstractmethod
    def _schema(self) -> pa.Schema:
        """Of what `batches` gives."""

    def __reduce__(self) -> tuple[Any, ...]:
        # To another process goes what a file would hold: rows that are in one are not read into memory first.
        file = io.BytesIO()
        self._write(file)
        return _from_bytes, (file.getvalue(),)


def _from_bytes(content: bytes) -> Table:
    return ParquetTable(io.BytesIO(content))


class FrameTable(Table):
    """A DataFrame as a table."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._given = frame

    def __len__(self) -> int:
        return len(self._given)

    def batches(
        self, within: Mapping[str, tuple[float, float]], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """See the base class."""
        import pyarrow as pa

        yield pa.Table.from_pandas(self._given, preserve_index=False)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return self._given

    @property
    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.Schema.from_pandas(self._given, preserve_index=False)


class ParquetTable(Table):
    """A Parquet file, read when it is asked for.

    Args:
        file: its path, or an open file.
        later: columns that files of earlier versions lack, with what they would hold.
        torn: what is said if it cannot be read, or holds what cannot be.
        unsound: says what cannot be in a part of the table; empty if all can.
    """

    def __init__(
        self,
        file: Path | BinaryIO,
        later: Mapping[str, float] | None = None,
        torn: Callable[[object], str] = str,
        unsound: Callable[[pd.DataFrame], str] | None = None,
    ) -> None:
        self._file = file
        self._later = dict(later or {})
        self._torn = torn
        self._unsound = unsound

    def __len__(self) -> int:
        with self._opened() as opened:
            return int(opened.metadata.num_rows)

    def batches(
        self, within: Mapping[str, tuple[float, float]], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """See the base class."""
        import pyarrow as pa

        with self._opened() as opened:
            places = {name: i for i, name in enumerate(opened.schema_arrow.names)}
            for number in range(opened.metadata.num_row_groups):
                group = opened.metadata.row_group(number)
                if all(_may_hold(group.column(places[n]).statistics, b) for n, b in within.items()):
                    for batch in opened.iter_batches(self.PIECE, [number], columns):
                        table = self._with_later(pa.Table.from_batches([batch]))
                        if self._unsound is not None and (wrong := self._unsound(table.to_pandas())):
                            raise ResultsError(self._torn(wrong))
                        yield table

    @property
    def _schema(self) -> pa.Schema:
        with self._opened() as opened:
            schema = self._with_later(opened.schema_arrow.empty_table()).schema
        return schema

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if isinstance(self._file, Path):
                with pq.ParquetFile(self._file) as opened:
                    yield opened
            else:  # It stays open.
                self._file.seek(0)
                yield pq.ParquetFile(self._file)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            raise ResultsError(self._torn(error)) from error

    def _with_later(self, table: pa.Table) -> pa.Table:
        for name, value in self._later.items():
            if name not in table.column_names:
                table = table.append_column(name, [np.full(len(table), value)])
        return table


def _may_hold(statistics: Any, bounds: tuple[float, float]) -> bool:
    """Whether a column of a row group may have a value within bounds; so it is where nothing is known of it."""
    return (
        statistics is None or not statistics.has_min_max
        or (statistics.max >= bounds[0] and statistics.min <= bounds[1])
    )  # fmt: skip
