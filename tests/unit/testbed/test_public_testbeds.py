"""Measured split learning on real boards beside the shipped profiles: `testbed/` of the public data."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from gapslsim.testbed.check import check_testbed

ROOT = Path(__file__).parents[3]
SCENARIOS = ROOT / "scenarios" / "testbeds"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("testbed_tables", ROOT / "analysis" / "testbed_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ares(tables: ModuleType, data: Path, folder: Path, device: str) -> Path:
    table = tables.ares(data)
    path = folder / "ares.csv"
    table[table["clients.0.device"] == device].to_csv(path, index=False)
    return path


@pytest.mark.data
def test_rounds_of_jetson_nano_are_within_an_eighth_and_a_step_of_vgg_19_within_a_fifth(
    tables: ModuleType, public_data: Path, tmp_path: Path
) -> None:
    nano = check_testbed(
        ares(tables, public_data, tmp_path, "jetson-nano"),
        SCENARIOS / "ares.yaml",
        labels=["network"],
        rounds=3,
    )
    rounds = nano.compared[nano.compared["measure"] == "iteration"]
    assert len(rounds) == 3
    assert rounds["error_median"].abs().max() < 0.12
    layers = tables.vgg19(public_data)
    layers[layers["model.cut"] == "whole"].dropna(axis=1).to_csv(tmp_path / "vgg.csv", index=False)
    steps = check_testbed(tmp_path / "vgg.csv", SCENARIOS / "vgg19_layers.yaml", rounds=1).compared
    assert set(steps["clients.0.device"]) == {
        "raspberry-pi-4b",
        "jetson-nano",
        "apple-m1",
        "vm-8-cores",
    }
    assert steps["error_median"].abs().max() < 0.2


@pytest.mark.data
def test_after_calibration_on_one_network_rounds_on_the_other_are_predicted_and_the_best_cut_is_named(
    tables: ModuleType, public_data: Path, tmp_path: Path
) -> None:
    check = check_testbed(
        ares(tables, public_data, tmp_path, "raspberry-pi-3b-plus"), SCENARIOS / "ares.yaml",
        labels=["network"], calibrate=["network=1"], fit=["compute", "memory"], rounds=3,
    )  # fmt: skip
    off = check.predicted["error_median"].abs()
    assert len(off) == 4
    assert off.median() < 0.03
    assert off.max() < 0.08
    assert all(order.names_the_best for order in check.agreements)


@pytest.mark.data
def test_after_calibration_on_two_and_seven_entries_time_and_energy_of_four_are_predicted(
    tables: ModuleType, public_data: Path, tmp_path: Path
) -> None:
    check = check_testbed(
        ares(tables, public_data, tmp_path, "jetson-nano"), SCENARIOS / "ares.yaml", labels=["network"],
        calibrate=["model.cut=2,7"], fit=["compute", "serialise", "loading", "rate", "power"], rounds=3,
    )  # fmt: skip
    four = check.predicted.set_index("measure")
    assert isinstance(four, pd.DataFrame)
    time, power = (1 + four.loc[name, "error_median"] for name in ("iteration", "power"))
    assert abs(time - 1) < 0.08
    assert abs(time * power - 1) < 0.06
