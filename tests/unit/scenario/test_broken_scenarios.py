"""Every broken scenario gives a short error with place and fix, and exit code 2."""

import re
from pathlib import Path

import pytest

from gapslsim.cli.main import main

FOLDER = Path(__file__).resolve().parents[2] / "broken_scenarios"
CASES = sorted(FOLDER.glob("*.yaml"))
BROKEN = [case for case in CASES if case.stem != "sound"]


def _expected(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"where": [], "says": [], "set": []}
    for line in file.read_text().splitlines():
        match = re.match(r"# (where|says|set): (.*)", line)
        if match is None:
            break
        found[match[1]].append(match[2])
    return found


@pytest.fixture(autouse=True)
def _in_their_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(FOLDER)
    monkeypatch.setenv("GAPSLSIM_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


def _run(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code or 0, capsys.readouterr()


def test_there_are_at_least_thirty():
    assert len(BROKEN) >= 30


def test_the_sound_scenario_is_sound(capsys):
    code, out = _run(["validate", "sound.yaml"], capsys)
    assert (code, out.err) == (0, "")


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_a_broken_scenario_says_where_and_how_to_mend_it(file, capsys):
    expected = _expected(file)
    overrides = [part for text in expected["set"] for part in ("--set", text)]
    code, out = _run(["validate", file.name, *overrides], capsys)
    assert code == 2
    assert out.out == ""
    line, _, path = expected["where"][0].partition(" ")
    place = file.name if line == "-" else f"{file.name}:{line}"
    starts = f"{place}: {path}: " if path else f"{place}: "
    matching = [text for text in out.err.splitlines() if text.startswith(starts)]
    assert matching, f"no line starts with {starts!r} in:\n{out.err}"
    for part in expected["says"]:
        assert part in out.err
    assert "Traceback" not in out.err
    assert len(out.err.splitlines()) <= 24


def test_every_case_says_what_it_expects():
    for file in BROKEN:
        expected = _expected(file)
        assert len(expected["where"]) == 1, file.name
        assert expected["says"], file.name
