"""Results name the components that they were made with; to read results runs none of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gapslsim.cli.main import main


@pytest.mark.parametrize("command", ["figure --export tables", "compare"])
def test_tables_of_a_study_run_no_component(
    command: str, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(digits, tmp_path / "out", ignore=shutil.ignore_patterns("journal"))
    own = tmp_path / "mine.py"
    own.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'was-run')!r}).touch()\n")
    stored = list(tmp_path.glob("out/runs/*/scenario.yaml"))
    for scenario in stored:
        scenario.write_text(scenario.read_text() + f"components: [{own}]\n")
    monkeypatch.chdir(tmp_path)
    name, *rest = command.split()
    with pytest.raises(SystemExit) as ended:
        main([name, "out", *rest])
    assert ended.value.code in (0, None)
    assert len(stored) > 1
    assert not (tmp_path / "was-run").exists()
