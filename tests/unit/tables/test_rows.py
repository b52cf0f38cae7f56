"""A table that grows is the same whether it stays in memory or not, leaves no file, and says when there is no room."""

from __future__ import annotations

import errno
import io
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gapslsim.errors import ResultsError
from gapslsim.records import AlignmentRow, AttendanceRow
from gapslsim.tables.rows import Rows
from gapslsim.tables.table import FrameTable, ParquetTable, Table

GIVEN = [
    AttendanceRow(i // 4 + 1, i / 8, i % 3, ("upload", "train")[i % 2], ("came", "ä|late")[i % 5 == 0])
    for i in range(90)
]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so low that nearly every row goes to the file."""
    monkeypatch.setattr(Rows, "FOLDED_AT", 3)
    monkeypatch.setattr(Rows, "SPILLED_AT", 7)


@pytest.fixture(params=["memory", "file", "read", "frame"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Table]:
    """The same rows in every form that a table has."""
    if request.param == "memory":
        yield Rows(AttendanceRow, GIVEN)
        return
    request.getfixturevalue("tiny")
    rows = Rows(AttendanceRow, GIVEN)
    rows.write(tmp_path / "a.parquet")
    if request.param == "file":
        yield rows
    else:
        read = ParquetTable(tmp_path / "a.parquet")
        yield read if request.param == "read" else FrameTable(read.frame())


def test_a_table_is_the_same_in_memory_and_in_a_file(table: Table, tmp_path: Path) -> None:
    expected = pd.DataFrame(GIVEN).astype({"phase": "str", "outcome": "str"})
    assert len(table) == 90
    pd.testing.assert_frame_equal(table.frame(), expected)
    pd.testing.assert_frame_equal(pd.concat(table.pieces(), ignore_index=True), expected)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(table)).frame(), expected)
    table.write(tmp_path / "again.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "again.parquet"), expected)


def test_rows_within_bounds_are_found_without_the_others(table: Table) -> None:
    found = table.select(round=(3, 4), client=(1, 2))
    assert [tuple(row) for row in found.itertuples(index=False)] == [
        tuple(row) for row in GIVEN if 3 <= row.round <= 4 and row.client
    ]
    assert table.select(round=(40, 50)).empty
    assert list(table.select(round=(40, 50)).columns) == list(AttendanceRow._fields)


def test_pieces_of_whole_rounds_have_each_round_once_with_all_its_rows(table: Table) -> None:
    rounds = [sorted(set(piece["round"])) for piece in table.whole_rounds(["round", "client"])]
    assert [number for piece in rounds for number in piece] == [*range(1, 24)]
    sizes = pd.concat(table.whole_rounds(["round"]))["round"].value_counts()
    assert sizes.loc[1:22].eq(4).all()
    assert sizes.loc[23] == 2


@pytest.mark.usefixtures("tiny")
def test_pieces_are_small_where_rows_lie_in_a_file() -> None:
    rows = Rows(AttendanceRow, GIVEN)
    assert max(map(len, rows.pieces())) < 10  # the last ones that were folded come on top of seven
    assert len(rows.recent) < 3


@pytest.mark.usefixtures("tiny")
def test_the_file_of_a_run_under_way_has_no_name(tmp_path: Path) -> None:
    rows = Rows(AttendanceRow)
    rows.folder = tmp_path
    rows.extend(GIVEN)
    assert list(tmp_path.iterdir()) == []
    assert len(rows.frame()) == 90


@pytest.mark.usefixtures("tiny")
def test_where_there_is_no_room_it_is_said_and_no_table_without_rows_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: Full())
    rows = Rows(AttendanceRow)
    rows.folder = tmp_path
    with pytest.raises(ResultsError, match=f"{tmp_path} .*No space left on device; make room there, or"):
        rows.extend(GIVEN)
    with pytest.raises(ResultsError, match="No space left"):
        rows.frame()


def test_a_row_with_a_field_too_many_or_too_few_is_refused() -> None:
    for row in (GIVEN[0][:4], (*GIVEN[0], 1)):
        with pytest.raises(ValueError, match="A row of AttendanceRow has 5 fields"):
            Rows(AttendanceRow, [GIVEN[0], row]).frame()


def test_types_are_those_of_the_class_also_without_rows() -> None:
    empty = Rows(AlignmentRow).frame()
    assert empty["in_leader_set"].dtype == bool
    assert empty["round"].dtype == np.int64
    assert empty["loss"].dtype == np.float64
    row = AlignmentRow(1, 0, 0.5, True, 0.1, False, 1.4, 2.0, 1.0, 0.5, float("nan"))
    assert Rows(AlignmentRow, [row]).frame().dtypes.equals(empty.dtypes)


def test_a_file_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing else")
    table = ParquetTable(tmp_path / "a.parquet", torn=lambda error: f"a.parquet cannot be read ({error})")
    with pytest.raises(ResultsError, match=r"a\.parquet cannot be read"):
        table.frame()


def test_columns_that_earlier_versions_did_not_write_are_filled(tmp_path: Path) -> None:
    Rows(AttendanceRow, GIVEN).write(tmp_path / "a.parquet")
    table = ParquetTable(tmp_path / "a.parquet", {"overlap_s": 0.0})
    assert table.frame()["overlap_s"].eq(0.0).all()
    assert len(table.frame()) == 90
