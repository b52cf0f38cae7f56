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
