"""Intervals of time and energy: right where the answer is known, cheap, paired, and without touching the training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import norm

from gapslsim import Results, Scenario, load, load_dict, rankings, simulate, with_draws
from gapslsim.errors import ResultsError
from gapslsim.hardware.devices import load_device
from gapslsim.hardware.drawn import drawn
from gapslsim.results.frames import TABLES
from gapslsim.results.likely import draws_of, interval
from gapslsim.results.store import load_results, write_results
from gapslsim.uncertainty import draws as engine
from tests.worlds import small_scenario

QUICK = ["stop={rounds: 40}"]


def board(folder: Path, name: str, rate: float, factor: float, jitter: float = 0.0) -> str:
    """A profile of one uncertain rate: within `factor` either way in nine of ten cases."""

    def figure(value: str, status: str = "measured", **more: str) -> dict[str, str]:
        return {"value": value, "status": status, "source": "chosen for the test"} | more

    rates = figure(
        f"{rate} FLOP/s", "assumed", low=f"{rate / factor!r} FLOP/s", high=f"{rate * factor!r} FLOP/s"
    )
    profile = {
        "name": name,
        "description": "A device for tests.",
        "memory": {"total": figure("2 GB"), "usable": figure("1 GB")},
        "cost_model": {
            "kind": "roofline",
            "forward_rate": rates,
            "backward_rate": rates,
            "memory_rate": figure("1000 TB/s"),
            "overhead_per_layer": figure("0 ms"),
            "overhead_per_call": figure("0 ms"),
        },
        "jitter": {"sigma": {"value": jitter, "status": "measured", "source": "chosen for the test"}},
        "power": {
            state: figure("1 W", low="1 W", high="1 W") for state in ("idle", "compute", "send", "receive")
        },
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(profile, sort_keys=False))
    return str(file)


@pytest.fixture
def one_rate(tmp_path: Path) -> Scenario:
    """All the time is what one client computes at one rate, known within a factor of 2."""
    client, server = board(tmp_path, "client-board", 1e6, 2.0), board(tmp_path, "server-board", 1e15, 1.0)
    link = {"uplink": "1000 Gbit/s", "downlink": "1000 Gbit/s"}
    made = small_scenario(
        server={"device": server}, network={"kind": "star", "backhaul": "1000 Gbit/s"}, stop={"rounds": 12},
        clients=[{"count": 1, "device": client, "link": link}],
    )  # fmt: skip
    return load_dict(made)


def test_one_device_with_one_rate_has_the_quantiles_of_a_lognormal_variable(one_rate: Scenario) -> None:
    told = simulate(one_rate, dry=True)
    summary = with_draws(told, 400).summary["uncertainty"]
    time_s = told.summary["simulated_time_s"]
    found = summary["simulated_time_s"]
    assert found["median"] == pytest.approx(time_s, rel=0.01)
    assert found["low"] == pytest.approx(time_s / 2, rel=0.02)
    assert found["high"] == pytest.approx(time_s * 2, rel=0.02)
    # Half of the factor's logarithm is the interval that holds half as many standard deviations.
    half = with_draws(told, 400, level=2 * norm.cdf(norm.ppf(0.95) / 2) - 1).summary["uncertainty"]
    assert half["simulated_time_s"]["high"] == pytest.approx(time_s * math.sqrt(2), rel=0.02)
    # Power is certain, so that energy grows with time.
    assert summary["energy_j"]["high"] == pytest.approx(told.summary["energy_j"]["total"] * 2, rel=0.02)
    (cause,) = summary["spread_of_time"]
    assert cause == "rates of client-board"
    assert summary["spread_of_time"][cause]["share"] == pytest.approx(1, abs=1e-6)
    assert summary["spread_of_time"][cause]["rests_on"] == "assumed"


def test_nine_of_ten_intervals_hold_the_truth() -> None:
    """True boards are drawn, simulated in full, and held against the interval of the profiles as they are told."""
    scenario = load_dict(small_scenario(stop={"rounds": 5}))
    told = simulate(scenario, dry=True)
    drawing = engine._Drawing(told, scenario, engine.Draws())
    random = np.random.default_rng(5)
    truths = []
    for seed in range(150):
        z: dict[tuple[str, str], float] = {}

        def true_device(name: str, z: dict[tuple[str, str], float] = z) -> Any:
            return drawn(
                load_device(name), lambda cause: z.setdefault((name, cause), random.standard_normal())
            )

        truths.append(engine.play(scenario, 5, drawing._parts, true_device, seed))
    found = with_draws(told).summary["uncertainty"]
    for quantity, true in (
        ("simulated_time_s", [truth.ends_s[-1] for truth in truths]),
        ("energy_j", [truth.energy_j for truth in truths]),
    ):
        low, high = found[quantity]["low"], found[quantity]["high"]
        n_inside = sum(low <= one <= high for one in true)
        assert 0.83 * len(true) <= n_inside <= 0.97 * len(true)  # 2.9 standard deviations of 150 tries


@pytest.mark.parametrize(
    "framework", ["psl", "sfl", "{kind: psl, participation: {kind: sample, k: 4}}", "{kind: async_sl}"]
)
def test_a_few_rounds_tell_what_whole_dry_runs_tell(framework: str, monkeypatch: Any) -> None:
    told = simulate(load("quickstart", set=[*QUICK, f"framework={framework}"]), dry=True)
    short = with_draws(told, 20)
    monkeypatch.setattr(engine, "_ALIKE", -1.0)
    whole = with_draws(told, 20)
    assert whole.summary["uncertainty"]["notes"][0] == "each draw is a whole dry run"
    for quantity, within in (("simulated_time_s", 0.06), ("energy_j", 0.03)):
        one, other = (draws_of(run.uncertainty, quantity) for run in (short, whole))
        assert np.abs(np.log(one / other)).max() < within
        assert np.abs(np.log(one / other)).mean() < within / 4
    if framework in ("psl", "sfl"):
        assert "plays 6 of 40 rounds" in short.summary["uncertainty"]["notes"][0]


def test_a_first_round_with_small_windows_does_not_make_all_be_played() -> None:
    told = simulate(load("quickstart", set=[*QUICK, "framework=psl"]), dry=True)
    rounds = told.rounds["end_s"].diff().to_numpy()
    assert told.rounds["end_s"].iloc[0] > 1.2 * rounds[1:].mean()
    assert "plays 6 of 40 rounds" in with_draws(told, 20).summary["uncertainty"]["notes"][0]


def test_rounds_that_are_not_alike_are_all_played() -> None:
    """Averaging every 25 rounds falls behind the first rounds, and would be left out by them."""
    rare = "framework={kind: parallel, client_sync: {kind: average, every: 25}}"
    slow = [
        "model={kind: mlp, hidden: [512], cut: 1}",
        "clients.*.link={uplink: 1 Mbit/s, downlink: 1 Mbit/s}",
    ]
    told = simulate(load("quickstart", set=[rare, *slow, "stop={rounds: 30}"]), dry=True)
    assert with_draws(told, 20).summary["uncertainty"]["notes"] == ["each draw is a whole dry run"]


def test_draws_change_nothing_of_the_run_itself(tmp_path: Path) -> None:
    plain = simulate(load_dict(small_scenario()))
    made = simulate(load_dict(small_scenario(uncertainty={"draws": 20})))
    for name in set(TABLES) - {"uncertainty"}:
        pd.testing.assert_frame_equal(getattr(made, name), getattr(plain, name))
    for hash_ in ("timeline_sha256", "learning_sha256"):
        assert made.summary[hash_] == plain.summary[hash_]
    folder = write_results(made, tmp_path / "run")
    again = load_results(folder)
    pd.testing.assert_frame_equal(again.uncertainty, made.uncertainty)
    assert again.summary["uncertainty"] == made.summary["uncertainty"]
    # Drawn from what was stored, the draws are the same.
    pd.testing.assert_frame_equal(with_draws(again, 20).uncertainty, made.uncertainty)
    (folder / "uncertainty.parquet").unlink()
    with pytest.raises(ResultsError, match=r"uncertainty\.parquet is missing"):
        load_results(folder)


def test_time_to_a_target_is_that_of_the_same_evaluation_in_every_draw() -> None:
    made = simulate(load_dict(small_scenario(
        stop={"rounds": 8}, evaluation={"every": "2 rounds", "targets": [0.01, 1.0]}, uncertainty={"draws": 30},
    )))  # fmt: skip
    drawn_s = draws_of(made.uncertainty, "time_to_accuracy_s 0.01")
    assert made.summary["time_to_accuracy_s"]["0.01"] == 0
    assert (drawn_s == 0).all()
    assert np.isnan(draws_of(made.uncertainty, "time_to_accuracy_s 1")).all()
    assert made.summary["uncertainty"]["time_to_accuracy_s"]["1"]["low"] is None


def test_a_target_in_the_middle_moves_with_the_rounds_before_it(one_rate: Scenario) -> None:
    told = simulate(one_rate, dry=True)
    told.summary["time_to_accuracy_s"]["0.5"] = float(told.rounds["end_s"].iloc[8])
    made = with_draws(told, 20).uncertainty
    np.testing.assert_allclose(
        draws_of(made, "time_to_accuracy_s 0.5") / draws_of(made, "simulated_time_s"), 9 / 12, rtol=1e-6
    )


def test_runs_on_the_same_boards_are_drawn_together_so_that_a_clear_order_is_decided(
    one_rate: Scenario,
) -> None:
    short = simulate(one_rate, dry=True)
    long = simulate(load_dict(yaml.safe_load(short.scenario_yaml) | {"stop": {"rounds": 13}}), dry=True)
    one, other = with_draws(short, 60), with_draws(long, 60)
    spans = [run.summary["uncertainty"]["simulated_time_s"] for run in (one, other)]
    assert spans[0]["high"] > spans[1]["low"]  # The intervals overlap by far,
    (time, energy) = rankings({"12 rounds": one, "13 rounds": other})
    assert (time.first, time.share, time.decided) == ("12 rounds", 1.0, True)  # and yet nothing is open.
    assert str(time) == "simulated time: 12 rounds before 13 rounds in 100 % of draws"
    assert energy.of == "energy"
    with pytest.raises(ResultsError, match="different numbers of draws"):
        rankings({"a": one, "b": with_draws(long, 20)})


def test_boards_that_nobody_measured_leave_an_order_open(tmp_path: Path) -> None:
    def on(name: str, rate: float) -> Results:
        file = board(tmp_path, name, rate, 2.0)
        link = {"uplink": "1000 Gbit/s", "downlink": "1000 Gbit/s"}
        server = board(tmp_path, "server-board", 1e15, 1.0)
        made = small_scenario(
            server={"device": server}, network={"kind": "star", "backhaul": "1000 Gbit/s"}, stop={"rounds": 6},
            clients=[{"count": 1, "device": file, "link": link}],
        )  # fmt: skip
        return with_draws(simulate(load_dict(made), dry=True), 400)

    order = rankings({"a": on("board-a", 1.2e6), "b": on("board-b", 1e6)})[0]
    # log(a / b) is normal: mean -log 1.2, two independent spreads of log 2 / 1.645.
    expected = norm.cdf(math.log(1.2) / (math.sqrt(2) * math.log(2) / norm.ppf(0.95)))
    assert order.share == pytest.approx(expected, abs=0.05)
    assert str(order).startswith("simulated time: order of a and b not decided (a first in 6")


def test_where_time_decides_what_is_trained_the_interval_says_what_it_is_for() -> None:
    late = "framework={kind: psl, lateness: {kind: deadline, after: 1 s}}"
    made = with_draws(simulate(load("quickstart", set=[late, "stop={rounds: 10}"]), dry=True), 20)
    assert made.summary["uncertainty"]["same_training"] is False
    assert "for the same number of rounds" in " ".join(made.summary["uncertainty"]["notes"])


def test_links_are_certain_unless_the_user_doubts_them() -> None:
    slow = {"uplink": "20 kbit/s", "downlink": "20 kbit/s"}
    groups = [{"count": 2, "device": "jetson-nano", "link": slow}]
    told = simulate(load_dict(small_scenario(stop={"rounds": 6}, clients=groups)), dry=True)
    assert not any("links" in name for name in with_draws(told, 20).uncertainty["quantity"].unique())
    doubted = with_draws(told, 60, links=0.3)
    cause, found = next(iter(doubted.summary["uncertainty"]["spread_of_time"].items()))
    assert (cause, found["rests_on"]) == ("links of jetson-nano", "given")
    drawn_s = draws_of(doubted.uncertainty, "simulated_time_s")
    assert np.log(drawn_s).std() == pytest.approx(0.3, rel=0.2)


def test_a_run_whose_profiles_have_changed_since_says_so(one_rate: Scenario, tmp_path: Path) -> None:
    told = simulate(one_rate, dry=True)
    board(tmp_path, "client-board", 1.5e6, 2.0)
    notes = with_draws(told, 20).summary["uncertainty"]["notes"]
    assert any("profiles or code have changed since the run" in note for note in notes)


def test_the_randomness_of_the_run_itself_is_in_the_interval(tmp_path: Path) -> None:
    sure, jitter = board(tmp_path, "sure", 1e6, 1.0, jitter=0.02), 0.02
    link = {"uplink": "1000 Gbit/s", "downlink": "1000 Gbit/s"}
    made = small_scenario(
        server={"device": board(tmp_path, "server-board", 1e15, 1.0)},
        network={"kind": "star", "backhaul": "1000 Gbit/s"}, stop={"rounds": 100},
        clients=[{"count": 1, "device": sure, "link": link}],
    )  # fmt: skip
    runs = [simulate(load_dict(made | {"seed": seed}), dry=True) for seed in range(1, 13)]
    among_seeds = np.std([np.log(run.summary["simulated_time_s"]) for run in runs], ddof=1)
    drawn_s = draws_of(with_draws(runs[0], 40).uncertainty, "simulated_time_s")
    assert np.log(drawn_s).std() == pytest.approx(among_seeds, rel=0.6)
    assert jitter / math.sqrt(100) / 4 < np.log(drawn_s).std() < jitter / math.sqrt(100) * 1.5


def test_an_interval_leaves_out_draws_without_a_value() -> None:
    assert interval(np.array([1.0, np.nan, 3.0]), 0.5) == {"low": 1.5, "median": 2.0, "high": 2.5}
    assert interval(np.array([np.nan]), 0.5) == {"low": None, "median": None, "high": None}


def test_too_few_draws_are_refused_in_words(make_results):
    with pytest.raises(ResultsError, match="draws: Input should be greater than or equal to 20, found 3"):
        with_draws(make_results(), 3, scenario=load("quickstart"))
