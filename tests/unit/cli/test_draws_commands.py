"""`run --draws` and `compare --draws`: what they print, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gapslsim.cli.main import main
from tests.worlds import small_scenario


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small_scenario()))
    return tmp_path / "small.yaml"


def test_a_run_tells_its_interval_and_what_the_spread_comes_from(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", str(scenario), "--dry", "--draws", "20", "--out", str(tmp_path / "run")) == 0
    said = capsys.readouterr().out
    assert "How sure that is (20 draws)" in said
    assert "90 % of draws" in said
    assert "The spread of the time comes from: " in said
    assert "of jetson-orin-nx (assumed)" in said  # the server, which nobody measured
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["uncertainty"]["draws"] == 20
    assert "uncertainty:" in (tmp_path / "run" / "scenario.yaml").read_text()


def test_a_comparison_draws_runs_that_have_no_draws_and_says_which_orders_are_decided(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(tmp_path / kind) for kind in ("psl", "sfl")]
    for kind, folder in zip(("psl", "sfl"), folders, strict=True):
        assert call("run", str(scenario), "--dry", "-q", "--set", f"framework={kind}", "--out", folder) == 0
    capsys.readouterr()
    assert call("compare", *folders) == 0
    assert "before" not in capsys.readouterr().out
    assert call("compare", *folders, "--draws", "20", "-o", str(tmp_path / "table.md")) == 0
    said = capsys.readouterr().out
    assert "simulated time: psl (dry) before sfl (dry) in 100 % of draws" in said
    assert " .. " in said
    assert "- energy: psl (dry) before sfl (dry) in 100 % of draws" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    "command", [["run", "quickstart", "--dry", "--draws", "3"], ["compare", "x", "--draws", "3"]]
)
def test_too_few_draws_are_refused_with_the_least(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*command) == 2
    assert "20" in capsys.readouterr().err
