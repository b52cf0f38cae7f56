"""`gapslsim calibrate` from the command line: table in, profile, report and figure out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gapslsim.cli.main import main
from gapslsim.hardware.devices import load_device


def table(folder: Path, name: str = "t.csv", factor: float = 1.0, n: int = 40) -> Path:
    random = np.random.default_rng(0)
    flop = np.round(10 ** random.uniform(6, 9, n))
    frame = pd.DataFrame(
        {"device": "my board", "phase": "forward", "kind": "conv2d", "work_flop": flop, "moved_bytes": flop / 100,
         "batch_size": 8, "time_s": factor * (1e-4 + flop / 2e10)}
    )  # fmt: skip
    path = folder / name
    frame.to_csv(path, index=False)
    return path


def test_a_table_becomes_a_profile_that_a_scenario_can_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "my-board.yaml", tmp_path / "fit.png"
    arguments = [str(table(tmp_path)), "-o", str(out), "--plot", str(picture), "--like", "jetson-nano"]
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", *arguments, "--check", str(table(tmp_path, "held.csv", factor=2.0))])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "Profile my-board: cost model" in told
    assert "held.csv" in told
    assert picture.read_bytes()[:4] == b"\x89PNG"
    device = load_device(out)
    assert device.ram_bytes == load_device("jetson-nano").ram_bytes
    calibration = device.profile.calibration
    assert calibration is not None
    assert calibration.held_out[0].mape < 0.05
    assert calibration.held_out[-1].mape == pytest.approx(0.5, abs=0.05)


def test_a_profile_is_checked_on_other_rows_without_a_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my-board.yaml"
    for arguments in ([str(table(tmp_path)), "-o", str(out)], [str(table(tmp_path)), "--profile", str(out)]):
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", *arguments])
        assert ended.value.code == 0
    assert "Errors, rows of" in capsys.readouterr().out


def test_bad_rows_end_with_exit_code_2_and_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path)
    path.write_text(path.read_text().replace("forward", "sideways", 1))
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", str(path), "-o", str(tmp_path / "b.yaml")])
    assert ended.value.code == 2
    assert "t.csv:2: phase: is 'sideways'" in capsys.readouterr().err
    assert not (tmp_path / "b.yaml").exists()


def called(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", *map(str, arguments)])
    return int(str(ended.value.code))


@pytest.mark.parametrize("file", ["my_board.yaml", "My_Board.yaml", "My Board (2).yaml"])
def test_a_file_may_be_called_as_no_profile_may_and_the_name_is_said(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(table(tmp_path), "-o", tmp_path / file, "--device", "my board") == 0
    name = "my-board-2" if "2" in file else "my-board"
    assert f"(named {name})" in " ".join(capsys.readouterr().out.split())
    assert load_device(tmp_path / file).name == name


@pytest.mark.parametrize(("output", "words"), [("board", "end it in .yaml"), ("no/board.yaml", "no folder")])
def test_a_profile_that_no_scenario_could_name_is_refused_before_the_fit(
    output: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(table(tmp_path), "-o", tmp_path / output) == 2
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_table_of_links_alone_gives_the_link_section_of_a_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"board,{way},{size},{0.01 + size / rate}" for way, rate in (("up", 5e6), ("down", 1e7))
            for size in (100_000, 1_000_000, 10_000_000)]  # fmt: skip
    path = tmp_path / "links.csv"
    path.write_text("\n".join(["device,direction,size_bytes,duration_s", *rows]) + "\n", encoding="utf-8")
    assert called(path, "-o", tmp_path / "link.yaml") == 0
    assert (tmp_path / "link.yaml").read_text() == (
        "link: {uplink: 40 Mbit/s, downlink: 80 Mbit/s, latency: 10 ms}\n"
    )
    assert "from 3 transfers" in capsys.readouterr().out
