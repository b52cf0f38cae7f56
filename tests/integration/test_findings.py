"""docs/findings.md holds the numbers of the studies in docs/results/, and no others in its tables."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def findings() -> ModuleType:
    sys.path.insert(0, str(ROOT / "analysis"))
    try:
        return importlib.import_module("findings")
    finally:
        sys.path.pop(0)


def test_the_page_holds_the_numbers_of_the_studies(findings, capsys):
    assert findings.main(["--check"]) == 0, capsys.readouterr().err


def test_a_changed_number_is_found(findings, monkeypatch, tmp_path, capsys):
    page = tmp_path / "findings.md"
    text = findings.PAGE.read_text(encoding="utf-8")
    page.write_text(re.sub(r"(\| PSL \| )\d", r"\g<1>9", text, count=1), encoding="utf-8")
    monkeypatch.setattr(findings, "PAGE", page)
    assert findings.main(["--check"]) == 1
    assert "--write" in capsys.readouterr().err
    assert findings.main(["--write"]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_every_table_of_the_findings_stands_on_the_page(findings):
    text = findings.PAGE.read_text(encoding="utf-8")
    assert sorted(name for name in re.findall(r"<!-- (\w+) -->", text) if name != "end") == sorted(
        findings.TABLES
    )


def test_means_differences_and_intervals_are_those_of_the_textbook(findings):
    ours = pd.DataFrame({"seed": [1, 2, 3], "accuracy_global_last": [0.5, 0.6, 0.7]})
    other = pd.DataFrame({"seed": [3, 2, 1], "accuracy_global_last": [0.6, 0.4, 0.4]})
    assert findings.percent(ours["accuracy_global_last"]) == "60.0 ± 10.0"
    # Differences 10, 20 and 10 points: mean 13.33, deviation 5.774, t(0.975, 2) = 4.3027.
    assert findings.difference(ours, other) == "+13.3 (-1.0 .. +27.7)"
    assert findings.difference(ours.head(1), other) == "+10.0"
    assert findings.percent(ours["accuracy_global_last"].head(0)) == "not run"


def test_a_grid_takes_a_study_in_front_and_gives_differences_to_a_row(findings, monkeypatch, tmp_path):
    monkeypatch.setattr(findings, "RESULTS", tmp_path)
    rows = [("GAPSL", 1, 0.3), ("PSL", 1, 0.4), ("GAPSL", 2, 0.9), ("PSL", 2, 0.9)]
    runs = pd.DataFrame(rows, columns=["framework", "seed", "accuracy_global_last"]).assign(
        status="completed"
    )
    runs.to_csv(tmp_path / "first.csv", index=False)
    runs[runs["seed"] == 1].assign(count=20, accuracy_global_last=[0.25, 0.5]).to_csv(
        tmp_path / "second.csv", index=False
    )

    grid = findings.Grid("second", "framework", "count", "global", first=("first", 10))
    against = findings.Grid("second", "framework", "count", "global", against="PSL", first=("first", 10))

    assert grid().splitlines()[2:] == ["| GAPSL | 30.0 | 25.0 |", "| PSL | 40.0 | 50.0 |"]
    assert against().splitlines()[2:] == ["| GAPSL | -10.0 | -25.0 |"]

    since = findings.Grid("second", "framework", "count", "global", first=("first", 10), since=10)
    assert since().splitlines()[0] == "| framework | 20 |"
    assert since().splitlines()[2:] == ["| GAPSL | -5.0 |", "| PSL | +10.0 |"]
