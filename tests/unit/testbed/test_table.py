"""Tables of testbeds: units, cells, and every mistake with its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gapslsim.calibration.table import TableError
from gapslsim.testbed.selection import select_cells
from gapslsim.testbed.table import TestbedTable, read_testbed

PHASES = {"client_forward", "uplink"}


def written(folder: Path, text: str, **how: object) -> TestbedTable:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return read_testbed(path, PHASES, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "clients.0.link.uplink,iteration_ms\n40 Mbit/s,250\n40 Mbit/s,350\n",
        "clients.0.link.uplink [Mbit/s],iteration (s)\n40,0.25\n40,0.35\n",
        "clients.0.link.uplink,iteration\nMbit/s,ms\n40,250\n40,350\n",
        "\ufeffclients[0].link.uplink,iteration\n40 Mbit/s,250 ms\n40 Mbit/s,0.35 s\n\n",
    ],
    ids=["name", "brackets", "row", "cell"],
)
def test_units_stand_in_the_name_in_brackets_in_a_row_or_in_the_cell(tmp_path: Path, text: str) -> None:
    (cell,) = written(tmp_path, text).cells
    assert cell.settings == (("clients.0.link.uplink", "40 Mbit/s"),)
    np.testing.assert_allclose(cell.measured["iteration"], [0.25, 0.35])


def test_rows_of_one_setting_are_one_cell_and_remarks_and_gaps_are_left_out(tmp_path: Path) -> None:
    text = "model.cut,site,client,note,client_forward_s,power_mw\n"
    table = written(tmp_path, text + "2,a,0,x,0.1,\n2,a,0,y,0.3,1500\n2,b,0,,0.2,\n", labels=["site"])
    first, second = table.cells
    assert (first["model.cut"], first["site"], first.client, first.lines) == ("2", "a", 0, (2, 3))
    np.testing.assert_allclose(first.measured["power"], [1.5])
    assert list(second.measured) == ["client_forward"]
    assert [measure.name for measure in table.measures] == ["client_forward", "power"]


def test_parquet_gives_the_same_cells_whole_numbers_included(tmp_path: Path) -> None:
    frame = pd.DataFrame({"model.cut": [2.0, np.nan], "round_s": [1.0, 2.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    first, second = read_testbed(tmp_path / "t.parquet", PHASES).cells
    assert first.settings == (("model.cut", "2"),)
    assert second.settings == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model.cut,iteration\n2,0.25\n", "t.csv:2: iteration: '0.25' has no unit"),
        ("model.cut,iteration_s\n2,-1\n", "t.csv:2: iteration: '-1 s' is negative"),
        ("model.cut,iteration_s\n2,0\n", "t.csv:2: iteration: is zero"),
        ("model.cut,iteration_s\n2,fast\n", "'fast' is not a quantity in s"),
        ("model.cut,iteration [Mbit/s]\n2,3\n", "'Mbit/s' is no unit of iteration; write one of s"),
        ("model.cut,iterations_s\n2,3\n", "no path of the scenario and no measure"),
        ("network_number,round_s\n1,3\n", "give --label"),
        ("model.cut\n2\n", "has no measure"),
        ("model.cut,round_s\n", "has no rows"),
        ("model.cut,round_s\n2,\n", "has no measurement in any row"),
        ("model.cut,round_s,round_ms\n2,1,1000\n", "gives round a second time"),
        ("client,round_s\nfirst,1\n", "'first' is no index of a client"),
    ],
)
def test_mistakes_are_told_with_row_and_column(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TableError, match=r".") as caught:
        written(tmp_path, text)
    assert said in str(caught.value)


def test_a_label_that_is_no_column_and_a_file_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"sites: there is no such column\. Did you mean 'site'"):
        written(tmp_path, "site,round_s\n1,2\n", labels=["sites"], ignored=["site"])
    with pytest.raises(TableError, match="no such file"):
        read_testbed(tmp_path / "absent.csv", PHASES)
    (tmp_path / "t.xlsx").write_text("")
    with pytest.raises(TableError, match=r"give a \.csv"):
        read_testbed(tmp_path / "t.xlsx", PHASES)


TABLE = "site,model.cut,round_s\na,1,1\na,2,1\nb,1,1\nb,2,1\nb,3,1\n"


@pytest.mark.parametrize(
    ("texts", "cuts"),
    [
        (["2-3"], ["a1", "a2"]),
        (["2,6"], ["a1", "b3"]),
        (["site=b & model.cut=1,3"], ["b1", "b3"]),
        (["site=a", "model.cut=3"], ["a1", "a2", "b3"]),
    ],
)
def test_cells_are_chosen_by_rows_or_by_values(tmp_path: Path, texts: list[str], cuts: list[str]) -> None:
    table = written(tmp_path, TABLE, labels=["site"])
    assert [cell["site"] + cell["model.cut"] for cell in select_cells(table, texts)] == cuts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20-30", "means no cell"),
        ("site=c", "means no cell"),
        ("sit=a", "Did you mean 'site'"),
        ("all", "neither rows"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        select_cells(written(tmp_path, TABLE, labels=["site"]), [text])
