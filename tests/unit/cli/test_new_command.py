"""`gapslsim new`: everything that it writes can be used as it is, and holds to what components must keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gapslsim import load, simulate
from gapslsim.cli.main import main
from gapslsim.registry import FAMILIES
from gapslsim.studies.plan import load_study

STUBS = {
    "channel.py",
    "data.py",
    "device.yaml",
    "framework.py",
    "model.py",
    "partition.py",
    "server_update.py",
}


@pytest.fixture(autouse=True)
def forgetting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of the test's own; what components register is forgotten."""
    monkeypatch.chdir(tmp_path)
    before = {name: (list(family), dict(family.members))[1] for name, family in FAMILIES.items()}
    yield
    for name, members in before.items():
        FAMILIES[name].members = members


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    captured = capsys.readouterr()
    return int(done.value.code or 0), captured.out + captured.err


def test_every_stub_is_sound_and_all_of_them_train_together(capsys) -> None:
    code, said = call(capsys, "new", "Exp-1")
    assert code == 0
    assert said.endswith("Next: cd Exp-1 && gapslsim run scenario.yaml --dry\n")
    assert {path.name for path in Path("Exp-1/components").iterdir()} == STUBS
    stubs = sorted(Path("Exp-1/components").glob("*.py"))
    for stub in stubs:
        code, said = call(capsys, "check-component", str(stub))
        assert (code, "1 component: " in said) == (0, True), said

    own = {
        "components": f"[{', '.join(f'components/{stub.name}' for stub in stubs)}]",
        "data": "{kind: exp_1_data, partition: exp_1_partition}",
        "model": "{kind: exp_1_model, cut: 2, width: 8}",
        "framework": "exp_1_framework",
        "clients.0.device": "components/device.yaml",
        "clients.0.link": "{uplink: {kind: exp_1_channel, mean: 5 Mbit/s}, downlink: 9 Mbit/s, latency: 1 ms}",
        "stop": "{rounds: 40}",
        "evaluation": "{every: 40 rounds, views: [global]}",
    }
    results = simulate(load("Exp-1/scenario.yaml", set=[f"{path}={value}" for path, value in own.items()]))
    assert results.summary["framework"] == "exp_1_framework"
    assert results.summary["accuracy"]["global"]["last"] > 0.5  # of four classes; chance is 0.25
    server_rule = "{kind: parallel, server_update: exp_1_server_update}"
    assert load(
        "Exp-1/scenario.yaml", set=["components=[components/server_update.py]", f"framework={server_rule}"]
    )


def test_the_scenario_and_the_study_are_sound_and_named(capsys) -> None:
    assert call(capsys, "new", "fleets/pilot", "--stub", "none")[0] == 0
    folder = Path("fleets/pilot")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "scenario.yaml", "study.yaml"]
    assert load(folder / "scenario.yaml").name == "pilot"
    assert len(load_study(folder / "study.yaml").possible) == 12
    assert "runs/pilot-psl-seed1" in (folder / "README.md").read_text()


def test_one_stub_can_be_asked_for_alone(capsys) -> None:
    assert call(capsys, "new", "one", "--stub", "model", "--stub", "device")[0] == 0
    assert sorted(path.name for path in Path("one/components").iterdir()) == ["device.yaml", "model.py"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("taken",), "taken is there already and is not empty; give another name."),
        (("taken/file",), "taken/file is there already and is not empty"),
        (("a b",), "a name has letters, digits, '-' and '_', and begins with a letter."),
        (("7up",), "begins with a letter."),
        (("fresh", "--stub", "chanel"), "Did you mean 'channel'?"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_written(arguments, words, capsys) -> None:
    Path("taken").mkdir()
    Path("taken/file").write_text("mine")
    code, said = call(capsys, "new", *arguments)
    assert code == 2
    assert words in said
    assert Path("taken/file").read_text() == "mine"
    assert [path.name for path in Path().iterdir()] == ["taken"]
