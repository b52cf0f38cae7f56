"""What scripts and notebooks see of runs."""

from __future__ import annotations

from typing import Any

import pytest

from gapslsim import compare, load_run
from gapslsim.errors import ResultsError
from gapslsim.results.store import write_results


def test_results_print_as_a_short_table_and_show_as_one_in_notebooks(results: Any) -> None:
    lines = [" ".join(line.split()) for line in repr(results).splitlines()]
    assert "run gapsl" in lines
    assert "simulated time 10.0 s" in lines
    assert len(lines) < 20
    html = results._repr_html_()
    assert "<tr><td>simulated time</td><td>10.0 s</td></tr>" in html


def test_runs_are_compared_from_results_and_from_directories(make_results: Any, tmp_path: Any) -> None:
    ours, other = make_results(), make_results(framework="<psl>")
    found = compare(ours, other)
    assert [row[0] for row in found.rows] == ["gapsl", "<psl>"]
    assert "&lt;psl&gt;" in found._repr_html_()
    # 25 and 50 % are both seen first at 5 s.
    assert found.notes[0].startswith("gapsl: Seen first at one evaluation: 25 % and 50 % (5.00 s).")
    assert found.notes[0] in str(found)
    write_results(ours, tmp_path / "ours")
    assert load_run(tmp_path / "ours").summary == ours.summary
    assert compare(tmp_path / "ours", other).rows == found.rows
    with pytest.raises(ResultsError):
        load_run(tmp_path)
