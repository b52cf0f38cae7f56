"""Texts that spreadsheets would carry out are neutral in our CSV, and come back as they were."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gapslsim.calibration.table import load_table
from gapslsim.csv_text import csv_lines, csv_of, neutral, original, originals

FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "-", "--1", "'=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_begins_with_an_apostrophe_and_comes_back(text: str) -> None:
    assert neutral(text) == "'" + text
    assert original(neutral(text)) == text


@pytest.mark.parametrize(
    "cell", ["-1", "+2.5e-3", "-.5", "-inf", "-nan", "a=b", "'tis", "", "5 MB", -3, 2.5, None, True]
)
def test_numbers_and_other_cells_are_written_as_they_are(cell: object) -> None:
    assert neutral(cell) is cell
    assert original(cell) is cell


@given(st.text(alphabet="'=+-@\t\r\n\uff0b1.ea ", max_size=6) | st.text())
@example("''=1")
def test_every_text_comes_back(text: str) -> None:
    assert original(neutral(text)) == text
    assert neutral(text)[:1] not in "=@\t\r\n" or not text


def test_tables_have_neutral_cells_and_headings_and_come_back() -> None:
    table = pd.DataFrame({"=name": FORMULAS, "n": -1.5, "group": pd.Categorical(["@x"] * len(FORMULAS))})
    text = csv_of(table)
    assert text.splitlines()[0] == "'=name,n,group"
    read = pd.read_csv(io.StringIO(text), keep_default_na=False, lineterminator="\n")
    assert all(cell.startswith("'") for cell in [*read["'=name"], *read["group"]])
    assert list(originals(read)["=name"]) == FORMULAS
    assert set(originals(read)["group"]) == {"@x"}
    assert set(read["n"]) == {-1.5}


def test_a_table_without_formulas_is_written_as_ever() -> None:
    table = pd.DataFrame({"a": ["x", None], "b": [-1, 2]})
    assert csv_of(table) == table.to_csv(index=False)


def test_measurements_that_were_written_are_read_back_as_they_were(tmp_path) -> None:
    (tmp_path / "t.csv").write_text(csv_lines([["device", "time_s"], ["=board", -1.0], ["'=board", "-2"]]))
    assert (tmp_path / "t.csv").read_text() == "device,time_s\n'=board,-1.0\n''=board,-2\n"
    assert load_table(tmp_path / "t.csv").to_numpy().tolist() == [["=board", "-1.0"], ["'=board", "-2"]]
