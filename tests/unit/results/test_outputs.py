from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gapslsim.errors import ResultsError
from gapslsim.results.drawing.drawing import Drawing
from gapslsim.results.drawing.matplotlib_printer import save
from gapslsim.results.figures.comparison import comparison
from gapslsim.results.outputs import write_output
from gapslsim.results.report.page import write_report
from gapslsim.results.store import write_results
from gapslsim.results.trace import write_trace


def test_a_table_replaces_an_earlier_table_and_no_text_of_the_users(tmp_path: Path) -> None:
    file = tmp_path / "t.md"
    for rows in ("| run | a |\n", "| run | b |\n"):
        write_output(file, rows)
    assert file.read_text() == "| run | b |\n"
    file.write_text("# My thesis\n")
    with pytest.raises(
        ResultsError, match=r"t\.md is there and was not written by this command; give another"
    ):
        write_output(file, "| run | c |\n")
    assert file.read_text() == "# My thesis\n"
    (tmp_path / "empty").touch()
    write_output(tmp_path / "empty", "| run | c |\n")


def picture(results: Any) -> Drawing:
    return comparison([results])


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_picture_replaces_an_earlier_picture_and_no_photograph(
    results: Any, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / f"p.{kind}"
    save(picture(results), file)
    save(picture(results), file)
    file.write_bytes(b"\x89PNG\r\n a photograph")
    with pytest.raises(ResultsError, match="give another name"):
        save(picture(results), file)
    assert file.read_bytes().endswith(b"photograph")


def test_pages_and_traces_replace_themselves_and_nothing_of_a_run(results: Any, tmp_path: Path) -> None:
    run = write_results(results, tmp_path / "run")
    for _ in range(2):
        write_report([run], tmp_path / "r.html")
        write_trace(results, tmp_path / "t.json")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    (tmp_path / "page.html").write_text("<!DOCTYPE html>\n<title>Mine</title>\n")
    with pytest.raises(ResultsError):
        write_report([run], tmp_path / "page.html")
    for name in ("summary.json", "scenario.yaml", "spans.parquet"):
        with pytest.raises(ResultsError):
            write_trace(results, run / name)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    assert len(pd.read_parquet(run / "spans.parquet")) == len(results.spans)
