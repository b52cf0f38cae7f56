from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from benchmarks.planning import fleet
from gapslsim import plan
from gapslsim.planning.bounds import Bounds
from gapslsim.planning.choices import axes_of
from gapslsim.planning.search import value_of
from gapslsim.planning.timing import Timer
from gapslsim.scenario.loading import read, vary

SETTINGS = {
    "a server that serves on arrival": {"clock": "{server: {serves: on_arrival}}"},
    "a pass for each client": {"clock": "{server: {computes: per_client}}", "framework": "gapsl"},
    "a loop for each client": {"clock": "{server: {computes: in_sequence}}"},
    "client models averaged every other round": {
        "framework": "{kind: sfl, client_sync: {kind: average, every: 2}}"
    },
    "a shared pass and a broadcast": {"framework": "{kind: epsl, phi: 0.5}"},
    "a step for each": {"framework": "{kind: psl, server_schedule: sequential}"},
    "a copy of the server for each": {"framework": "splitfed_v1"},
    "a pool of features": {"framework": "cyclesl"},
    "local epochs in turn": {
        "framework": "{kind: splitfed_v2, server_schedule: {kind: sequential, order: turns}}"
    },
    "clusters in turn": {"framework": "{kind: cpsl, clusters: 2}"},
    "a mean by broadcast": {"framework": "{kind: sglr, active: 0.5}"},
    "copies along a chain": {
        "shape": "{kind: chain, helpers: [{device: apple-m1, cut: 2}], tail: 1}",
        "framework": "mp_sl",
        "model": "{kind: mlp, hidden: [32, 32, 32], cut: 1}",
    },
    "cuts of their own": {"choose": "{clients.each.cut: [1, 2]}", "framework": "gapsl"},
    "labels that stay on clients": {"shape": "u_shape"},
    "a helper in the chain": {"shape": "{kind: chain, helpers: [{device: apple-m1, cut: 2}]}"},
    "edge servers": {
        "shape": "{kind: tiers, edges: 2, cut: 2}",
        "framework": "{kind: sfl, client_sync: {kind: hierarchical}}",
    },
    "codecs": {"codec": "{activations: float16, gradients: {kind: quantise, bits: 4}}"},
    "clients in turn": {"framework": "{kind: sl, local_steps: 2}"},
    "local training": {"framework": "{kind: fedavg, local_steps: 2}"},
    "one medium for both ways": {"network": "{kind: star, backhaul: 300 kbit/s, duplex: half}"},
    "an access point": {
        "network": "{kind: shared_ap, medium: {kind: constant, rate: 400 kbit/s}, backhaul: 1 Gbit/s}"
    },
    "a fitted line as cost model": {"server": "{device: phone-nexus-6}"},
}
GOALS = ("time_per_sample", "energy", "bytes")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", SETTINGS)
def test_no_combination_takes_less_than_its_bound(what, tmp_path: Path, caplog):
    for goal in GOALS:
        settings = dict(SETTINGS[what])
        text = fleet(7, 2, 2, settings.pop("choose", "{clients.each.training.batch_size: [4, 16]}"))
        lines = [line for line in text.splitlines() if line.split(":")[0] not in settings]
        lines = [f"  goal: {goal}" if line.startswith("  goal:") else line for line in lines]
        lines += [f"{key}: {value}" for key, value in settings.items()]
        (tmp_path / "a.yaml").write_text("\n".join(lines))
        source = read(tmp_path / "a.yaml")
        scenario = vary(source, ())
        axes, timer, goals = axes_of(source, scenario), Timer(source, scenario.plan), {goal: 1.0}
        assert not timer.unbounded(axes)
        bounds = Bounds(axes, timer, goals)
        values = []
        for combination in product(*(axis.choices for axis in axes)):
            values.append(value_of(timer.outcome(combination), goals))
            assert bounds.of(combination) <= values[-1] * (1 + 1e-9)
        assert bounds.least[0] <= min(values) * (1 + 1e-9)
        assert bounds.least[0] > 0


def test_twenty_groups_with_a_choice_each_are_proven_to_a_percent(tmp_path):
    """A server that all wait for, and a backhaul that all share: 2 to the power of 21 combinations."""
    (tmp_path / "a.yaml").write_text(fleet(1, 20))
    found = plan(tmp_path / "a.yaml", most=20).found
    assert found.n_combinations == 2**21
    assert found.n_timed <= 20
    assert found.gap is not None
    assert found.gap < 0.01


def test_a_choice_that_cannot_be_run_in_one_group_leaves_the_others_theirs(tmp_path):
    choose = "{clients.each.device: [jetson-orin-nx, raspberry-pi-4b]}"
    text = fleet(3, 2, 1, choose).replace("hidden: [64, 16, 8]", "hidden: [30000, 30000, 8]")
    text = text.replace("cut: 1}", "cut: 2}")
    (tmp_path / "a.yaml").write_text(text)
    source = read(tmp_path / "a.yaml")
    scenario = vary(source, ())
    axes, timer, goals = axes_of(source, scenario), Timer(source, scenario.plan), {"round_time": 1.0}
    bounds = Bounds(axes, timer, goals)
    for combination in product(*(axis.choices for axis in axes)):
        outcome = timer.outcome(combination)
        if not outcome.wrong:
            assert bounds.of(combination) <= value_of(outcome, goals) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("framework={kind: psl, participation: {kind: sample, k: 1}}", "not everyone takes part"),
        ("framework={kind: psl, lateness: {kind: deadline, after: 1 s}}", "not everyone is waited for"),
        (
            "clients.0.link.uplink={kind: lognormal, mean: 1 Mbit/s, sigma: 0.5, correlation_time: 1 s}",
            "links vary",
        ),
        ("framework=async_sl", "the framework has no rounds"),
        (
            "faults=[{kind: slow_down, factor: 2, mean_up: 1 s, mean_down: 1 s}]",
            "clients come and go, or something fails",
        ),
    ],
)
def test_where_no_bound_is_known_the_reason_is_told(change, why, tmp_path):
    (tmp_path / "a.yaml").write_text(fleet(2, 2, 1, "{clients.each.training.batch_size: [4, 16]}"))
    found = plan(tmp_path / "a.yaml", set=[change], most=2)
    assert found.found.bound is None
    assert f"no bound is known here ({why}" in found.sentences[1]
