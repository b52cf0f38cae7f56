from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planning import fleet
from gapslsim import load, plan, simulate
from gapslsim.cli.main import main
from gapslsim.errors import ScenarioError
from gapslsim.planning.alone import Alone, Use
from gapslsim.planning.choices import Axis, Choice, axes_of
from gapslsim.planning.search import search, value_of
from gapslsim.planning.timing import Outcome, Timer
from gapslsim.scenario.loading import read, vary
from gapslsim.scenario.tree import Tree
from tests.study_files import BASE

SECTION = "plan: {choose: {model.cut: [1, 2], training.batch_size: [5, 10]}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A scenario with a plan."""
    (tmp_path / "base.yaml").write_text(BASE + SECTION)
    return tmp_path / "base.yaml"


def timer_of(file: Path):
    source = read(file)
    scenario = vary(source, ())
    goal = scenario.plan.goal
    return (
        axes_of(source, scenario),
        Timer(source, scenario.plan),
        goal if isinstance(goal, dict) else {goal: 1.0},
    )


def test_every_combination_is_timed_as_a_whole_dry_run_times_it_and_the_least_is_chosen(file):
    found = plan(file, rounds=4, set=["clock.jitter=false"])
    times = {}
    for cut, size in product((1, 2), (5, 10)):
        changes = ["clock.jitter=false", f"model.cut={cut}", f"training.batch_size={size}"]
        told = simulate(load(file, set=changes), dry=True).summary
        times[f"model.cut={cut}, training.batch_size={size}"] = (
            told["simulated_time_s"] / 4, told["energy_j"]["total"] / 4, (told["bytes_up"] + told["bytes_down"]) / 4,
        )  # fmt: skip
    for row in found.table.itertuples():
        assert (row.round_time_s, row.energy_j, row.size_bytes) == pytest.approx(
            times[row.choices], rel=1e-12
        )
    assert found.table["choices"].iloc[0] == min(times, key=lambda name: times[name][0])
    assert found.found.is_optimal
    assert found.sentences[1] == "All 4 combinations were timed: it is optimal."


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("codec.activations.bits", (2, 8)),
        ("shape.tail", (0, 1)),
        ("clients.0.cut", (1, 2)),
        ("evaluation.batch_size", (64, 128)),
    ],
)
def test_what_is_trained_or_sent_is_that_of_the_choice_whatever_section_it_is_in(path, values, tmp_path):
    begun = ["codec={activations: {kind: quantise, bits: 4}}", "shape={kind: u_shape, tail: 1}"]
    set = ["clock.jitter=false", *(text for text in begun if text.split("=")[0] == path.split(".")[0])]
    found = plan("quickstart", rounds=2, set=set, choose={path: values})
    for row in found.table.itertuples():
        told = simulate(load("quickstart", set=[*set, "stop.rounds=2", row.choices]), dry=True).summary
        assert row.round_time_s == pytest.approx(told["simulated_time_s"] / 2, rel=1e-12)
        assert row.size_bytes == pytest.approx((told["bytes_up"] + told["bytes_down"]) / 2, rel=1e-12)


def test_a_batch_of_one_group_decides_the_time_per_sample_worked_by_hand(tmp_path):
    # A phone at 1 kbit/s sends 8 floats and a label a sample: the larger its batch, the longer all wait.
    text = BASE.replace("link: lte", "link: {uplink: 1 Gbit/s, downlink: 1 Gbit/s}", 1).replace(
        "link: lte", "link: {uplink: 1 kbit/s, downlink: 1 Gbit/s}"
    )
    (tmp_path / "a.yaml").write_text(text.replace("kind: star", "kind: star, protocol: null"))
    found = plan(
        tmp_path / "a.yaml", choose={"clients.each.training.batch_size": [1, 10]}, goal="time_per_sample"
    )
    # 20 samples of the fast at no time beside 2 of the slow: 1 slow sample takes as long as the whole round.
    assert (
        found.table["choices"].iloc[0] == "clients.0.training.batch_size=10, clients.1.training.batch_size=1"
    )
    assert found.scenario is not None
    assert [g.training.batch_size for g in found.scenario.clients] == [10, 1]


class Contended:
    """Six clients in arithmetic: each computes, sends over its own link and a shared one, and is served in turn."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.known: dict[tuple[str, ...], Outcome] = {}
        self.compute_s, self.link, self.served_s = random.exponential([[1.0], [3.0], [0.1]], (3, 6)).tolist()
        self.shared, self.fixed = random.exponential(6.0), random.exponential(1.0, 6).tolist()

    n_groups, n_rounds = 6, 1

    def unbounded(self, axes):
        return ""

    def _time_s(self, group, size, share):
        return self.fixed[group] + size * self.compute_s[group] + size / min(self.link[group], share)

    def outcome(self, choices):
        if (key := tuple(choice.name for choice in choices)) in self.known:
            return self.known[key]
        sizes = [int(choice.name[-1]) for choice in choices]
        ends_s = [self._time_s(group, size, self.shared / 6) for group, size in enumerate(sizes)]
        time_s = max(ends_s) + sum(size * s for size, s in zip(sizes, self.served_s, strict=True))
        return self.known.setdefault(key, Outcome(time_s, samples=sum(sizes)))

    def alone(self, choices, with_energy):
        """Of each client: what it takes until it is served (a shared link is used last), and served in turn."""
        sizes = {int(choice.name[0]): int(choice.name[-1]) for choice in choices}
        found = []
        for group in range(6):
            size = sizes.get(group, 2)
            whole_s, sent_s, served_s = (
                self._time_s(group, size, self.shared),
                size / self.shared,
                size * self.served_s[group],
            )
            use = Use(
                np.diag([sent_s, served_s]),
                np.array([[whole_s - sent_s, np.inf], [np.inf, 0.0]]),
                np.array([[0.0, np.inf], [np.inf, 0.0]]),
            )
            found.append(Alone(np.array([whole_s, served_s]), use, 0.0, 0.0, size, 0.0, 0.0))
        return found


AXES = [
    Axis(f"clients.{g}.size", tuple(Choice(f"{g}: {n}", ((f"clients.{g}.size", Tree(n)),)) for n in (2, 9)))
    for g in range(6)
]


def test_of_200_random_cases_of_six_clients_none_is_missed_and_no_bound_is_above_the_best():
    """All 64 combinations timed; then a search that may time a third of them and tells what it may have missed."""
    goals, proven, near = {"time_per_sample": 1.0}, 0, 0
    every = list(product(*(axis.choices for axis in AXES)))
    for seed in range(200):
        timer = Contended(seed)
        few = search(AXES, timer, goals, 21)
        assert few.n_timed == len(timer.known) <= 21
        least = min(timer.outcome(one).value("time_per_sample") for one in every)
        all_timed = search(AXES, timer, goals, 64)
        assert (all_timed.value, all_timed.gap) == (least, 0)
        assert few.bound <= least * (1 + 1e-9)
        assert few.value * (1 - few.gap) <= least * (1 + 1e-9)
        assert not few.is_optimal or few.value == pytest.approx(least, rel=1e-9)
        proven += few.is_optimal
        near += few.value <= least * (1 + 1e-9)
    assert proven > 50
    assert near > 190


def test_in_the_simulator_too_nothing_is_missed_and_no_bound_is_above_the_best(tmp_path):
    for seed in range(4):
        (tmp_path / "a.yaml").write_text(fleet(seed, 2, 3, "{clients.each.training.batch_size: [4, 16]}"))
        axes, timer, goals = timer_of(tmp_path / "a.yaml")
        found = search(axes, timer, goals, 3)
        outcomes = [timer.outcome(every) for every in product(*(axis.choices for axis in axes))]
        least = min(value_of(one, goals) for one in outcomes)
        assert found.value == least
        assert found.bound <= least * (1 + 1e-9)


def test_limits_exclude_what_exceeds_them_and_say_so(file):
    free = plan(file)
    best = free.table.iloc[0]
    limited = plan(file, limits={"round_time": "1 h", "bytes": f"{best['size_bytes'] - 1} B"})
    assert limited.found.best is None or limited.table.iloc[0]["size_bytes"] < best["size_bytes"]
    tight = plan(file, limits={"client_memory": "1 B"})
    assert tight.scenario is None
    assert "client memory is" in tight.sentences[0]
    with pytest.raises(ScenarioError, match="can be had"):
        tight.write(file.parent / "no.yaml")


def test_what_does_not_fit_a_device_is_no_choice(file):
    found = plan(
        file,
        choose={"model": [{"kind": "mlp", "hidden": [8, 8]}, {"kind": "mlp", "hidden": [400000, 400000]}]},
    )
    assert (found.table["wrong"] != "").sum() == 4
    assert found.table["wrong"].iloc[-1] != ""
    assert found.scenario is not None


def test_weights_make_one_goal_of_several(file):
    found = plan(file, goal={"round_time": 2.0, "energy": 0.5})
    for row in found.table.itertuples():
        assert row.value == pytest.approx(2.0 * row.round_time_s + 0.5 * row.energy_j)


def test_shares_divide_a_rate_among_groups_and_the_slower_sender_gets_more(tmp_path):
    (tmp_path / "a.yaml").write_text(
        BASE
        + "plan: {shares: [{of: 4 Mbit/s, among: [clients.0.link.uplink, clients.1.link.uplink], steps: 4}]}\n"
    )
    found = plan(tmp_path / "a.yaml")
    assert len(found.table) == 3
    rates = [[g.link.uplink.rate for g in found.scenario.clients]]
    # Two clients in each group: a quarter of 4 Mbit/s is 500 kbit/s each.
    assert rates[0][0] + rates[0][1] == 2e6
    assert rates[0][0] in (5e5, 1e6, 1.5e6)


def test_without_a_bound_it_says_so(file):
    found = plan(file, set=["framework={kind: psl, participation: {kind: sample, k: 2}}"], most=2)
    assert found.found.bound is None
    assert "no bound is known here" in found.sentences[1]


def test_participation_may_be_chosen(file):
    found = plan(
        file, choose={"framework.participation": ["everyone", {"kind": "sample", "k": 1}]}, goal="bytes"
    )
    assert found.table["choices"].iloc[0].endswith("framework.participation={kind: sample, k: 1}")
    assert found.table["n_samples"].iloc[0] == 5


def test_the_front_holds_what_nothing_beats_in_both_time_and_energy(file):
    table = plan(file, choose={"server.device": ["jetson-orin-nx", "jetson-nano"]}).table
    for row in table.itertuples():
        beaten = (
            (table["round_time_s"] <= row.round_time_s) & (table["energy_j"] <= row.energy_j)
            & ((table["round_time_s"] < row.round_time_s) | (table["energy_j"] < row.energy_j))
        ).any()  # fmt: skip
        assert row.on_front == (not beaten)


def test_every_wrong_value_is_told_with_its_place_also_by_validate(file, capsys):
    file.write_text(
        BASE + "plan:\n  choose:\n    model.cut: [1, zero]\n    clients.7.device: [jetson-nano]\n"
    )
    with pytest.raises(ScenarioError) as error:
        plan(file)
    told = str(error.value)
    assert f"{file}:15: " in told
    assert "clients.7" in told
    with pytest.raises(SystemExit) as ended:
        main(["validate", str(file)])
    assert ended.value.code == 2
    assert "clients.7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--choose", "model.cut"], "write path=values"),
        (["--goal", "speed"], "goal"),
        (["--goal", "energy=much"], "weights as numbers"),
        (["--limit", "energy"], "name=value"),
        (["--limit", "energy=5"], "unit"),
    ],
)
def test_a_wrong_call_is_told_with_the_fix(file, arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(file), *arguments])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_nothing_to_choose_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text(BASE)
    with pytest.raises(ScenarioError, match="nothing is to be chosen"):
        plan(tmp_path / "a.yaml")


def test_the_command_writes_a_scenario_that_runs_a_picture_csv_and_json(file, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out, plot, table = tmp_path / "best.yaml", tmp_path / "a.svg", tmp_path / "a.csv"
    call = ["plan", str(file), "--choose", "server.device=jetson-orin-nx,jetson-nano", "--train", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*call, "-o", str(out), "--plot", str(plot), "--table", str(table)])
    assert not ended.value.code
    told = capsys.readouterr().out
    assert max(len(line) for line in told.splitlines() if not line.startswith("Written")) <= 80
    assert load(out).plan is None
    assert simulate(load(out), dry=True).summary["status"] == "completed"
    assert plot.read_bytes().startswith(b"<?xml")
    assert table.read_text().startswith("choices,")
    with pytest.raises(SystemExit):
        main(["plan", str(file), "--json"])
    made = json.loads(capsys.readouterr().out)
    assert made["optimal"] is True
    assert made["combinations"] == made["timed"] == 4


def test_trained_plans_have_the_accuracy_of_their_runs(file):
    found = plan(file, train=1)
    assert found.scenario is not None
    full = simulate(found.scenario).summary
    assert found.table["accuracy global"].iloc[0] == full["accuracy"]["global"]["last"]
    assert math.isnan(found.table["accuracy global"].iloc[1])
    assert np.isfinite(found.table["simulated_time_s"].iloc[0])


def test_a_cut_behind_the_last_block_is_a_combination_that_cannot_be_had(file, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(file), "--choose", "model.cut=1,619"])
    assert ended.value.code == 0
    wrong = plan(file, choose={"model.cut": [1, 619]}).table["wrong"]
    assert wrong.str.contains("cut must be from 1 to").sum() == 2
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(file), "--choose", "model.cut=619"])
    assert ended.value.code == 1
    assert "cannot be run: model.cut: cut must be from 1 to" in " ".join(capsys.readouterr().out.split())
