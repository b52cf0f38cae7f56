"""Power that a machine measures itself: a made-up tree of the kernel's files, and a made-up nvidia-smi."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from gapslsim.measuring import meter as module
from gapslsim.measuring.meter import Meter, find_meter, power_rows, rest, watched
from gapslsim.measuring.table import Machine

MACHINE = Machine("board", "pytorch", 1)


def hwmon(sysfs: Path, number: int, rails: dict[str, tuple[int, int]], name: str = "ina3221") -> Path:
    """A chip of kernel 5.10 and later: mV and mA by channel."""
    chip = sysfs / "class/hwmon" / f"hwmon{number}"
    chip.mkdir(parents=True)
    (chip / "name").write_text(f"{name}\n")
    for channel, (label, (millivolts, milliamperes)) in enumerate(rails.items(), 1):
        (chip / f"in{channel}_label").write_text(f"{label}\n")
        (chip / f"in{channel}_input").write_text(f"{millivolts}\n")
        (chip / f"curr{channel}_input").write_text(f"{milliamperes}\n")
    return chip


def test_the_input_of_the_board_is_volts_times_amperes(tmp_path: Path) -> None:
    hwmon(tmp_path, 0, {"temp": (1, 1)}, name="tmp451")
    chip = hwmon(tmp_path, 3, {"VDD_IN": (5000, 1200), "VDD_CPU_GPU_CV": (5000, 400), "NC": (0, 0)})
    meter = find_meter("cpu", sysfs=tmp_path)
    assert meter is not None
    assert meter.name == "INA3221, VDD_IN"
    assert meter.read_w() == pytest.approx(6.0)
    (chip / "curr1_input").write_text("2000\n")
    assert meter.read_w() == pytest.approx(10.0)


def test_without_an_input_all_rails_are_added_but_one_that_another_feeds(tmp_path: Path) -> None:
    hwmon(tmp_path, 0, {"VDD_GPU_SOC": (20000, 100), "VDD_CPU_CV": (20000, 50), "VIN_SYS_5V0": (5000, 600)})
    hwmon(tmp_path, 1, {"NC": (0, 0), "VDDQ_VDD2_1V8AO": (5000, 100)})
    meter = find_meter("cuda", sysfs=tmp_path)
    assert meter is not None
    assert meter.read_w() == pytest.approx(2.0 + 1.0 + 3.0)
    named = find_meter("cuda", sysfs=tmp_path, wanted=["VDD_GPU_SOC"])
    assert named is not None
    assert named.read_w() == pytest.approx(2.0)


def test_a_chip_that_two_paths_lead_to_is_counted_once(tmp_path: Path) -> None:
    chip = hwmon(tmp_path, 0, {"A": (5000, 100)})
    (tmp_path / "bus/i2c/drivers/ina3221/1-0040/hwmon").mkdir(parents=True)
    (tmp_path / "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon0").symlink_to(chip)
    meter = find_meter("cpu", sysfs=tmp_path)
    assert meter is not None
    assert meter.read_w() == pytest.approx(0.5)


def test_the_files_of_older_jetsons_are_in_milliwatts(tmp_path: Path) -> None:
    chip = tmp_path / "bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    chip.mkdir(parents=True)
    for channel, (name, milliwatts) in enumerate(
        {"POM_5V_IN": 2900, "POM_5V_GPU": 900, "POM_5V_CPU": 700}.items()
    ):
        (chip / f"rail_name_{channel}").write_text(f"{name}\n")
        (chip / f"in_power{channel}_input").write_text(f"{milliwatts}\n")
    meter = find_meter("cpu", sysfs=tmp_path)
    assert meter is not None
    assert (meter.name, meter.read_w()) == ("INA3221, POM_5V_IN", pytest.approx(2.9))


def test_a_gpu_without_rails_is_asked_by_nvidia_smi(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def query(words: Sequence[str]) -> str:
        asked.append(words)
        return " 61.25\n"

    meter = find_meter("cuda", 2, sysfs=tmp_path, query=query)
    assert meter is not None
    assert meter.read_w() == 61.25
    assert asked[0][-2:] == ["-i", "2"]
    assert find_meter("cpu", sysfs=tmp_path, query=query) is None
    assert find_meter("cuda", sysfs=tmp_path, query=lambda words: "[N/A]") is None


def test_rails_that_cannot_be_read_are_no_meter(tmp_path: Path) -> None:
    chip = hwmon(tmp_path, 0, {"VDD_IN": (5000, 1200)})
    (chip / "curr1_input").write_text("no data\n")
    assert find_meter("cpu", sysfs=tmp_path) is None
    assert find_meter("cpu", sysfs=tmp_path / "nothing") is None


def counting() -> Meter:
    values = itertools.count(1)
    return Meter("made up", lambda: float(next(values)), 0.001)


def test_samples_are_taken_beside_the_work_and_end_with_it() -> None:
    with watched(counting(), settle_s=0.0) as samples:
        while len(samples) < 5:
            time.sleep(0.001)
    n = len(samples)
    assert samples == [float(k + 1) for k in range(n)]
    time.sleep(0.01)
    assert len(samples) == n
    with watched(None) as none:
        pass
    assert none == []


def test_a_sample_that_fails_is_left_out() -> None:
    answers = iter([OSError("busy"), 3.0, ValueError("no number"), 5.0])

    def read_w() -> float:
        answer = next(answers, 7.0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    samples = rest(Meter("made up", read_w, 0.001), 0.0, sleep=lambda s: time.sleep(0.6))
    assert samples[:3] == [3.0, 5.0, 7.0]


def test_rows_hold_the_means_of_parts_so_that_the_profile_knows_the_spread() -> None:
    meter = Meter("INA3221, VDD_IN", float, 0.25)
    rows = power_rows(MACHINE, meter, [1.0, 2.0], [4.0, 6.0] * 30)
    assert [row.power_w for row in rows[:2]] == [1.0, 2.0]
    assert [(row.kind, row.power_w, row.time_s, row.note) for row in rows[2:]] == [
        ("load", 5.0, 0.5, "INA3221, VDD_IN")
    ] * 30


def test_measured_power_is_a_measured_figure_of_the_profile(tmp_path: Path) -> None:
    from gapslsim.calibration.rest import power_of
    from gapslsim.calibration.table import read_table
    from gapslsim.measuring.table import write_table

    write_table(tmp_path / "t.csv", power_rows(MACHINE, counting(), [1.0, 1.5], [4.0, 6.0, 5.0]))
    power = power_of(read_table(tmp_path / "t.csv"), None)
    assert (power.idle.value, power.idle.status) == (1.25, "measured")
    assert (power.compute.value, power.compute.status) == (5.0, "measured")


def test_the_command_finds_the_rails_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    import typer
    from rich.console import Console

    from gapslsim.cli.measure import _meter

    hwmon(tmp_path, 0, {"VDD_IN": (5000, 1200), "VDD_SOC": (5000, 100)})
    monkeypatch.setattr(module, "find_meter", partial(find_meter, sysfs=tmp_path))
    console, device = Console(record=True, width=200), torch.device("cpu")
    found = _meter("", device, console)
    assert found is not None
    assert "Power: INA3221, VDD_IN. At rest for 10 s first" in console.export_text()
    assert _meter("none", device, console) is None
    some = _meter("VDD_SOC", device, console)
    assert some is not None
    assert some.read_w() == pytest.approx(0.5)
    with pytest.raises(typer.BadParameter, match="this machine has no rails VDD_X"):
        _meter("VDD_X", device, console)


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ([], {"idle", "load"}),
        (["--power", "9"], {"idle"}),
        (["--idle-power", "1", "--power", "9"], {"idle"}),
        (["--rails", "none"], set()),
    ],
)
def test_measured_power_is_in_the_table_unless_it_is_given(
    given: list[str], kinds: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import csv

    from gapslsim.cli import measure
    from gapslsim.cli.main import main

    hwmon(tmp_path, 0, {"VDD_IN": (5000, 1200)})
    monkeypatch.setattr(module, "find_meter", partial(find_meter, sysfs=tmp_path))
    monkeypatch.setattr(measure, "_REST_S", 0.6)
    monkeypatch.setattr(measure, "_measure", lambda *arguments: time.sleep(0.6) or [])
    with pytest.raises(SystemExit):
        main(["measure", "--name", "board", "-o", str(tmp_path / "table.csv"), *given])
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["kind"] for row in rows} == kinds
    assert {float(row["power_w"]) for row in rows} <= {6.0 if "--idle-power" not in given else 1.0}
