"""What a command writes never takes the place of a file that no command wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim.cli.main import main
from tests.unit.cli.test_calibrate_command import table
from tests.unit.importing.published import IPERF3

MINE = "name: my thesis\n"


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    "command",
    [
        "schema -o {}.json",
        "measure --quick -o {}.csv",
        "show partition quickstart --png {}.png",
        "show network quickstart --png {}.png",
        "run quickstart --save {}.safetensors",
        "import iperf3 log.json -o {}.csv",
        "calibrate measured.csv -o {}.yaml",
        "plan quickstart --choose model.cut=2 --rounds 1 --table {}.csv",
        "plan quickstart --choose model.cut=2 --rounds 1 -o {}.yaml",
    ],
)
def test_a_file_of_the_users_is_kept(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, "measured.csv")
    (tmp_path / "log.json").write_text(IPERF3)
    words = command.format("mine").split()
    (tmp_path / words[-1]).write_text(MINE)
    assert call(*words) == 2
    assert "is there and was not written by" in capsys.readouterr().err
    assert (tmp_path / words[-1]).read_text() == MINE
    assert not list(tmp_path.glob(".*"))


def test_a_profile_replaces_an_earlier_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, "measured.csv")
    assert [call("calibrate", "measured.csv", "-o", "board.yaml") for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("schema -o {}", "it is a directory"),
        ("schema -o /proc/none/schema.json", "could not be written"),
        ("show network quickstart --png {}/net.json", ".json is no picture format"),
        (f"schema -o {'a' * 5000}", "File name too long"),
        (f"show device {'a' * 5000}", "Unknown device"),
        (f"journal list {'a' * 5000}", "give another name"),
        (f"report {'a' * 5000} -o {{}}/r.html", "give another name"),
        ("journal verify /dev/null", "is no journal"),
    ],
)
def test_a_place_where_nothing_can_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    assert call(*command.format(tmp_path).split()) in (1, 2)
    assert told in capsys.readouterr().err
