"""Whole runs through the Python API and the command line."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gapslsim import load, simulate
from gapslsim.errors import MemoryShortError, NumericalError, ScenarioError
from gapslsim.frameworks.framework import frameworks
from gapslsim.results.results import Results
from tests.worlds import chosen

SCENARIO = """
name: small
seed: 3
data:
  {kind: synthetic, input_shape: [8], n_classes: 4, n_train: 240, n_test: 80, partition: {kind: dirichlet, alpha: 0.5}}
model: {kind: mlp, hidden: [12, 12], cut: 1}
framework: gapsl
training: {batch_size: 8, client: {optimizer: sgd, lr: 0.05, momentum: 0.9}}
server: {device: jetson-orin-nx}
clients:
  - {count: 2, device: jetson-nano, link: {uplink: 4 Mbit/s, downlink: 8 Mbit/s, latency: 4 ms}}
  - {count: 2, device: raspberry-pi-4b, link: {uplink: 2 Mbit/s, downlink: 5 Mbit/s, latency: 9 ms}}
network: {kind: star, backhaul: 10 Mbit/s}
evaluation: {every: 2 rounds, targets: [0.3, 1.0]}
stop: {rounds: 5}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    return path


def run(file: Path, *overrides: str, dry: bool = False) -> Results:
    return simulate(load(file, set=list(overrides)), dry=dry)


@pytest.mark.parametrize("kind", sorted(frameworks))
def test_every_framework_runs_and_its_dry_run_has_the_same_timeline(kind: str, file: Path) -> None:
    real, dry = run(file, *chosen(kind)), run(file, *chosen(kind), dry=True)
    assert real.summary["status"] == "completed"
    assert real.summary["warnings"] == []
    assert real.summary["timeline_sha256"] == dry.summary["timeline_sha256"]
    assert real.summary["simulated_time_s"] == dry.summary["simulated_time_s"]
    assert len(real.rounds) == 5
    assert set(real.evaluations["view"]) == {"global", "clients", "ensemble", "local"}
    assert dry.evaluations.empty
    assert real.evaluations.groupby(["round", "view"]).size().loc[0, "clients"] == 4


def test_phases_of_a_client_sum_to_the_simulated_time(file: Path) -> None:
    results = run(file)
    spans = results.spans[results.spans["client"] >= 0]
    totals = (spans["end_s"] - spans["start_s"]).groupby(spans["actor"]).sum()
    assert len(totals) == 4
    for total in totals:
        assert total == pytest.approx(results.summary["simulated_time_s"], abs=1e-9)


def test_bytes_of_the_rounds_are_those_of_the_spans_and_of_the_summary(file: Path) -> None:
    for kind in ("sfl", "sl", "fedavg", "epsl"):
        results = run(file, f"framework={kind}")
        assert results.rounds["bytes_up"].sum() == results.summary["bytes_up"] > 0
        assert results.rounds["bytes_down"].sum() == results.summary["bytes_down"] > 0


def test_psl_bytes_are_those_of_smashed_data_labels_and_gradients(file: Path) -> None:
    # 4 clients x 5 rounds x 8 samples; 12 float32 up with an int64 label, 12 float32 down
    summary = run(file, "framework=psl").summary
    assert summary["bytes_up"] == 4 * 5 * 8 * (12 * 4 + 8)
    assert summary["bytes_down"] == 4 * 5 * 8 * 12 * 4


def test_links_and_devices_change_the_timeline_and_not_the_learning(file: Path) -> None:
    base = run(file).summary
    slower_link = run(file, "clients.0.link.uplink=100 kbit/s").summary
    other_device = run(file, "clients.1.device=phone-midrange").summary
    for changed in (slower_link, other_device):
        assert changed["timeline_sha256"] != base["timeline_sha256"]
        assert changed["learning_sha256"] == base["learning_sha256"]
    assert slower_link["simulated_time_s"] > base["simulated_time_s"]


def test_another_seed_changes_the_learning(file: Path) -> None:
    assert run(file).summary["learning_sha256"] != run(file, "seed=4").summary["learning_sha256"]


def test_another_process_gives_the_same_two_hashes(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gapslsim", "run", str(file), "--out", str(out), "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    there, here = json.loads((out / "summary.json").read_text()), run(file).summary
    for name in ("timeline_sha256", "learning_sha256"):
        assert there[name] == here[name]


def test_time_to_a_target_is_that_of_the_first_evaluation_at_or_above_it(file: Path) -> None:
    results = run(file, "training.client.lr=0.2")
    view = results.evaluations[results.evaluations["view"] == "global"]
    reached = view[view["accuracy"] >= 0.3]
    assert results.summary["time_to_accuracy_s"]["0.3"] == reached["time_s"].iloc[0]


def test_training_learns_easy_data(file: Path) -> None:
    results = run(file, "stop.rounds=60", "data.separation=8", "data.partition=iid", "framework=sfl")
    assert results.summary["accuracy"]["global"]["last"] > 0.9


def test_an_infinite_loss_names_round_client_and_last_good_state(file: Path) -> None:
    with pytest.raises(
        NumericalError, match=r"round \d+, client \d+: the (loss|gradient) is not finite"
    ) as caught:
        run(file, "training.client.lr=1e18", "stop.rounds=20")
    assert "last good state is" in str(caught.value)
    assert caught.value.results.summary["status"].startswith("failed")


def test_a_run_stops_at_the_first_condition_that_holds(file: Path) -> None:
    by_time = run(file, "stop={rounds: 100, simulated_time: 50 ms}").summary
    assert by_time["stopped_by"] == "simulated time 50 ms"
    assert by_time["rounds"] < 100
    by_epoch = run(file, "stop={epochs: 0.5}").summary
    assert by_epoch["rounds"] == math.ceil(0.5 * 240 / 32)
    by_accuracy = run(file, "stop={rounds: 100, target_accuracy: 0.05}", "evaluation.targets=[]").summary
    assert by_accuracy["rounds"] < 100


def test_a_dry_run_that_only_accuracy_could_end_is_refused(file: Path) -> None:
    only_accuracy = ("stop={target_accuracy: 0.5}", "framework=psl")
    with pytest.raises(ScenarioError, match="a dry run has no accuracy to stop at; add rounds"):
        run(file, *only_accuracy, dry=True)


def test_ctrl_c_leaves_what_was_recorded(file: Path) -> None:
    def stop(progress: Any) -> None:
        if progress.round == 3:
            raise KeyboardInterrupt

    results = simulate(load(file), observer=stop)
    assert results.summary["status"] == "interrupted"
    assert len(results.rounds) == 3


def test_jitter_draws_from_its_own_stream(file: Path) -> None:
    phone = ("clients.1.device=phone-midrange",)
    left, right = run(file, *phone), run(file, *phone)
    pd.testing.assert_frame_equal(left.spans, right.spans)
    backward = left.spans[(left.spans["client"] == 2) & (left.spans["phase"] == "client_backward")]
    durations = backward["end_s"] - backward["start_s"]
    assert durations.nunique() > 1


def test_simulated_time_does_not_depend_on_the_speed_of_this_machine(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from gapslsim.learning.engine import Engine

    before = run(file).summary["timeline_sha256"]
    forward = Engine.client_forwards

    def slow(self: Engine, *arguments: Any) -> Any:
        time.sleep(0.002)
        return forward(self, *arguments)

    monkeypatch.setattr(Engine, "client_forwards", slow)
    assert run(file).summary["timeline_sha256"] == before


def test_a_client_part_that_does_not_fit_its_device_says_how_much_is_missing(file: Path) -> None:
    big = (
        "model={kind: vgg16}",
        "data.input_shape=[3, 32, 32]",
        "training.batch_size=60",
        "data.n_train=600",
    )
    wide = ("model.cut=12", "model.width=6", "data.partition=iid")
    with pytest.raises(
        MemoryShortError, match=r"does not fit jetson-nano: it needs [\d.]+ GB, .* are missing"
    ):
        run(file, *big, *wide, dry=True)


def test_a_fleet_with_a_sample_of_its_clients_runs(file: Path) -> None:
    results = run(file, "framework={kind: psl, participation: {kind: sample, k: 2}}")
    assert (results.rounds["n_participants"] == 2).all()
    assert results.summary["warnings"] == []
