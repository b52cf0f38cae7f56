"""Two sweeps that begin in one directory at the same moment: one does the work, the other is told by whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim.results.study import read_study
from tests.fuzz.kills import forked, waited_for
from tests.study_files import write_study

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def test_of_two_sweeps_at_once_one_is_refused_and_the_study_is_whole(tmp_path: Path) -> None:
    call = ["sweep", str(write_study(tmp_path)), "-o", str(tmp_path / "out"), "-j", "1", "-q"]
    said = [tmp_path / name for name in ("first", "second")]
    children = [forked(call, file) for file in said]
    codes = [waited_for(child) for child in children]
    assert sorted(codes) == [0, 2], [file.read_text() for file in said]
    refused = said[codes.index(2)].read_text()
    assert "Traceback" not in refused
    assert any(words in refused for words in ("another sweep is at work", "--resume")), refused
    records = read_study(tmp_path / "out").runs
    assert [record.status for record in records] == ["completed"] * 4
    assert waited_for(forked([*call, "--resume"], tmp_path / "third")) == 0
