"""The shipped scenarios run, at least their clocks; what they need of public data is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim import load, simulate
from gapslsim.scenario.schema import Scenario

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
FILES = sorted(p for folder in ("frameworks", "network") for p in (SCENARIOS / folder).glob("*.yaml"))
SMALL_IMAGES = sorted((SCENARIOS / "paper" / "small").glob("table1_cifar10_*.yaml"))
STOP = ["stop={rounds: 3}"]


def clock(file: Path) -> dict[str, object]:
    return simulate(load(file, set=STOP), dry=True).summary


@pytest.mark.parametrize("file", [f for f in FILES if f.stem != "real_traces"], ids=lambda f: f.stem)
def test_the_clock_of_a_shipped_scenario_runs(file: Path) -> None:
    summary = clock(file)
    assert summary["rounds"] == 3
    assert summary["warnings"] == []


@pytest.mark.data
def test_measured_lte_5g_and_wifi_traces_drive_the_links(public_data: Path) -> None:
    file = SCENARIOS / "network" / "real_traces.yaml"
    assert clock(file)["warnings"] == []
    constant = simulate(load("quickstart", set=STOP), dry=True).summary
    assert clock(file)["timeline_sha256"] != constant["timeline_sha256"]


@pytest.mark.data
@pytest.mark.parametrize("file", SMALL_IMAGES, ids=lambda f: f.stem)
def test_the_small_cifar10_scenarios_train(file: Path, public_data: Path) -> None:
    quick = ["stop={rounds: 1}", "data.n_train=400", "data.n_test=50", "data.partition=iid"]
    summary = simulate(load(file, set=quick)).summary
    assert summary["status"] == "completed"
    assert 0 <= summary["accuracy"]["global"]["last"] <= 1


def full_size() -> list[Path]:
    return sorted((SCENARIOS / "paper").glob("*.yaml"))


@pytest.mark.parametrize("file", full_size(), ids=lambda f: f.stem)
def test_every_full_size_scenario_has_a_small_twin_of_the_same_framework(file: Path) -> None:
    twin = SCENARIOS / "paper" / "small" / file.name
    assert twin.is_file()
    full, small = load(file), load(twin)
    assert kind(full) == kind(small)
    assert full.n_clients == small.n_clients


def kind(scenario: Scenario) -> str:
    return scenario.framework.kind
