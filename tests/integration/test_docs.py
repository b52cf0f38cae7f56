"""What README and CONTRIBUTING show can be done as they show it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gapslsim import simulate
from gapslsim.scenario.loading import loads

ROOT = Path(__file__).resolve().parents[2]


def blocks(file: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / file).read_text(), re.DOTALL)


def test_the_scenario_of_the_readme_runs() -> None:
    (text,) = blocks("README.md", "yaml")
    assert simulate(loads(text, set=["stop.rounds=2"]), dry=True).summary["rounds"] == 2


def test_files_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"scenarios/[\w/]+\.yaml", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_framework_of_contributing_trains_from_one_file(tmp_path: Path) -> None:
    (code,) = blocks("CONTRIBUTING.md", "python")
    run = """
from gapslsim import load, simulate
changes = ["framework=my_framework", "stop={rounds: 2}", "evaluation.views=[global]"]
assert simulate(load("quickstart", set=changes)).summary["status"] == "completed"
"""
    (tmp_path / "mine.py").write_text(code + run)
    subprocess.run([sys.executable, str(tmp_path / "mine.py")], check=True, cwd=tmp_path)
