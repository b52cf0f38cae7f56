"""Devices are timed by rates for the precision that is trained in, or by those that the scenario names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gapslsim import load, simulate
from gapslsim.errors import ScenarioError
from gapslsim.hardware.devices import load_device
from gapslsim.hardware.profile_file import read_profile, write_profile
from gapslsim.hardware.shipped import shipped_folder

SMALL = ["data={kind: synthetic, n_train: 100, n_test: 10}", "model={kind: mlp, cut: 1}", "stop.rounds=1"]


@pytest.fixture
def board(tmp_path: Path) -> str:
    """A Jetson Nano with a mode for bfloat16 whose layers begin at once."""
    profile = yaml.safe_load((shipped_folder("hardware_profiles") / "jetson-nano.yaml").read_text())
    rates = {"overhead_per_layer": {"value": "1 us", "status": "assumed", "source": "the test"}}
    profile["name"] = "board"
    profile["modes"] = {"bf16": {"description": "fast", "precision": "bfloat16", "cost_model": rates}}
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(profile))
    return str(tmp_path / "board.yaml")


def test_devices_without_rates_for_a_precision_are_refused_each_with_the_ways_out(board: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        load("quickstart", set=["training.precision=bfloat16", f"clients.0.device={board}"])
    first, server, *others = map(str, raised.value.problems)
    assert server == (
        "scenarios/quickstart.yaml:11: server.device: jetson-orin-nx has rates for float32, and training.precision is "
        "bfloat16; name a device or mode that has, or write clock.precision: float32 to time devices as if they "
        "computed in that."
    )
    assert f"{board} has rates for float32" in first
    assert f"name a mode that has ({board}@bf16)" in first
    assert len(others) == 2


def test_devices_may_be_timed_at_another_precision_than_this_machine_trains_in() -> None:
    plain, fast = (
        load("quickstart", set=SMALL),
        load("quickstart", set=[*SMALL, "training.precision=bfloat16", "clock.precision=float32"]),
    )
    one, other = simulate(plain), simulate(fast)
    assert one.summary["timeline_sha256"] == other.summary["timeline_sha256"]
    assert one.summary["learning_sha256"] != other.summary["learning_sha256"]


def test_a_mode_with_rates_for_the_precision_times_by_them_and_for_no_other(board: str) -> None:
    every = [f"server.device={board}@bf16", f"clients.*.device={board}@bf16"]
    times_s = [
        simulate(load("quickstart", set=[*SMALL, *changes]), dry=True).summary["simulated_time_s"]
        for changes in (
            [*every, "training.precision=bfloat16"],
            [f"server.device={board}", f"clients.*.device={board}"],
        )
    ]
    assert times_s[0] < times_s[1]
    with pytest.raises(ScenarioError, match=r"has rates for bfloat16, and training\.precision is float32"):
        load("quickstart", set=[*SMALL, *every])


def test_a_profile_keeps_what_its_rates_are_for(board: str, tmp_path: Path) -> None:
    assert load_device(board).precision == "float32"
    assert load_device(f"{board}@bf16").precision == "bfloat16"
    write_profile(read_profile(Path(board)), tmp_path / "again.yaml")
    assert load_device(str(tmp_path / "again.yaml@bf16")).precision == "bfloat16"
