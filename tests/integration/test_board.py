"""The tables of docs/board.md and of the README are made from the board's numbers, and a changed one is found."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gapslsim.csv_text import csv_of
from gapslsim.results.board_tables import standings_table
from tests.unit.results.test_board import board, drawn

ROOT = Path(__file__).resolve().parents[2]
PAGE = "# A page\n\n<!-- board standings -->\n<!-- end -->\n\n<!-- board first -->\n<!-- end -->\n"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Over a board of three series that is worked out by hand, and a page of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    sys.modules.pop("board", None)
    found = importlib.import_module("board")
    rows = drawn(board()).numbers
    rows["partition"] = [f"alpha {alpha}" for alpha in rows.pop("alpha")]
    (tmp_path / "board.csv").write_text(csv_of(rows))
    (tmp_path / "page.md").write_text(PAGE)
    monkeypatch.setattr(found, "NUMBERS", tmp_path / "board.csv")
    monkeypatch.setattr(found, "PAGES", (tmp_path / "page.md",))
    return found


def test_the_pages_hold_the_numbers_of_the_board(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    sys.modules.pop("board", None)
    shipped = importlib.import_module("board")
    assert shipped.main(["--check"]) == 0, capsys.readouterr().err
    # Each of its tables stands somewhere.
    pages = "".join(page.read_text(encoding="utf-8") for page in shipped.PAGES)
    assert [name for name in shipped.TABLES if f"<!-- board {name} -->" not in pages] == []


def test_the_page_is_filled_and_a_changed_number_is_found(script, tmp_path, capsys):
    assert script.main(["--check"]) == 1
    assert "page.md out of date: run python analysis/board.py --write" in capsys.readouterr().err
    assert script.main(["--write"]) == 0
    assert script.main(["--check"]) == 0
    page = tmp_path / "page.md"
    text = page.read_text()
    page.write_text(text.replace("| B | 1.2 (1 .. 2) |", "| B | 1.0 |"))
    assert script.main(["--check"]) == 1


def test_its_tables_are_those_of_the_figure(script):
    rows = script.numbers()
    assert standings_table(rows) == drawn(board()).table
    # Worked out in tests/unit/results/test_board.py: within 100 B, B is better for sure than A and C.
    lines = script.TABLES["first"](rows).splitlines()
    assert lines[2] == "| lab, alpha 1.0 | A, 90.5 %; 1 tied with it | **B, 70.5 %** | **A, 85.5 %** |"
    assert "**70.5 % ± 0.7**<br>1, alone first" in script.TABLES["panels"](rows)
    assert script.TABLES["size"](rows) == "3 methods, 4 panels, 2 seeds (24 runs).\n"


def test_every_table_is_made_and_an_unknown_one_is_refused(script, capsys):
    assert script.main([]) == 0
    told = capsys.readouterr().out
    assert all(f"{name}\n" in told for name in script.TABLES)
    with pytest.raises(SystemExit, match="names the table 'nothing'; known: size, first"):
        script.filled("<!-- board nothing -->\n<!-- end -->", "page.md", script.numbers())


def test_without_numbers_it_says_how_they_are_made(script, monkeypatch):
    monkeypatch.setattr(script, "NUMBERS", ROOT / "docs" / "results" / "not_there.csv")
    with pytest.raises(
        SystemExit, match=r"not_there.csv is missing: gapslsim sweep scenarios/studies/board.yaml"
    ):
        script.main(["--check"])
