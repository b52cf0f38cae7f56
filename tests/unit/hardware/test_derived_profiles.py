"""The script that makes the shipped profiles: every profile has a rule, and the files are what the rules make."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from gapslsim.hardware.devices import known_devices, load_profile

SCRIPT = Path(__file__).parents[3] / "analysis" / "derive_profiles.py"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("derive_profiles", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


def test_every_shipped_profile_has_a_rule_and_every_rule_a_profile(script: ModuleType) -> None:
    assert set(script.RULES) == set(known_devices())


def test_profiles_are_the_same_to_a_fifth_of_a_percent_and_to_the_letter(script: ModuleType) -> None:
    profile = load_profile("raspberry-pi-4b")
    forward = profile.cost_model.forward_rate  # type: ignore[attr-defined]

    def with_rate(**changes: object) -> object:
        model = replace(profile.cost_model, forward_rate=replace(forward, **changes))  # type: ignore[call-arg, arg-type]
        return replace(profile, cost_model=model)

    assert script.same(profile, with_rate(value=forward.value * 1.001))
    assert not script.same(profile, with_rate(value=forward.value * 1.01))
    assert not script.same(profile, with_rate(source="another source"))
    assert not script.same(profile, load_profile("raspberry-pi-5"))


def test_a_rule_that_is_not_there_and_data_that_is_not_there_are_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for arguments, words in (
        (["jetson-mano"], "no rule for jetson-mano; known: jetson-nano"),
        (["--data", str(tmp_path)], "give the folder with --data or GAPSLSIM_DATA"),
    ):
        monkeypatch.setattr(sys, "argv", ["derive_profiles.py", *arguments])
        with pytest.raises(SystemExit):
            script.main()
        assert words in capsys.readouterr().err


@pytest.mark.data
def test_the_rules_make_every_shipped_profile_again(
    script: ModuleType, public_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["derive_profiles.py", "--check", "--data", str(public_data)])
    code = script.main()
    shown = capsys.readouterr().out
    assert [
        line
        for line in shown.splitlines()
        if line.endswith((": different", ": not shipped", ": has no rule"))
    ] == []
    assert shown.count(": same\n") == len(known_devices())
    assert code == 0


@pytest.mark.data
def test_a_file_that_differs_is_named_and_written_only_when_asked(
    script: ModuleType,
    public_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    shipped = (script.PROFILES / "jetson-tx2.yaml").read_text()
    (tmp_path / "jetson-tx2.yaml").write_text(shipped.replace("value: 353 GFLOP/s", "value: 400 GFLOP/s"))
    monkeypatch.setattr(script, "PROFILES", tmp_path)

    def run(*options: str) -> int:
        monkeypatch.setattr(
            sys, "argv", ["derive_profiles.py", "jetson-tx2", "--data", str(public_data), *options]
        )
        return int(script.main())

    assert run("--check") == 1
    assert "jetson-tx2: different" in capsys.readouterr().out
    run("--write")
    assert (tmp_path / "jetson-tx2.yaml").read_text() == shipped
    assert run("--check") == 0
