"""MergeSFL: sizes and choices, a plain loop, a timeline worked out by hand, bytes, limits, what is refused."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from torch.nn import functional as F

from gapslsim import load_dict, simulate
from gapslsim.errors import ScenarioError
from gapslsim.frameworks._regulated import Regulator
from gapslsim.frameworks._regulation import mixed_choice, regulated
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.journal.journal import JournalSettings
from tests.support import small_setup, stage
from tests.unit.frameworks.test_global_batches import watched
from tests.unit.frameworks.test_server_schedules import Loop, distance, of_client, of_server
from tests.unit.frameworks.test_timelines import assert_spans
from tests.worlds import small_scenario

CLOSE, N_ROUNDS = 1e-8, 10
K2 = {"kind": "sample", "k": 2}


# Sizes and choices.


@given(
    st.lists(st.tuples(st.floats(1e-3, 1e3), st.integers(1, 60)), min_size=1, max_size=9), st.integers(1, 400)
)
def test_sizes_are_whole_within_their_bounds_and_as_even_in_time_as_these_allow(
    clients: list[tuple[float, int]], n: int
) -> None:
    seconds, caps = zip(*clients, strict=True)
    n = max(n, len(clients))
    sizes = regulated(n, seconds, caps)
    assert sum(sizes) == min(n, sum(caps))
    assert all(1 <= size <= cap for size, cap in zip(sizes, caps, strict=True))
    # Nobody could hand a sample to somebody who would still be done with it earlier, but for rounding.
    for (a, slow), (b, fast) in itertools.permutations(zip(sizes, seconds, strict=True), 2):
        room = caps[[*zip(sizes, seconds, strict=True)].index((b, fast))] > b
        assert not (a > 2 and room and (b + 2) * fast < (a - 2) * slow)


def test_sizes_are_in_inverse_proportion_to_the_time_of_a_sample() -> None:
    assert regulated(12, [1, 5], [20, 20]) == [10, 2]
    assert regulated(12, [1, 2, 4], [20, 20, 20]) == [7, 3, 2]
    assert regulated(12, [1, 2, 4], [5, 20, 20]) == [5, 5, 2]
    assert regulated(3, [1, 1000, 1000], [20, 20, 20]) == [1, 1, 1]
    assert regulated(4, [1, 1, 1], [9, 9, 9]) == [2, 1, 1]


def skewed(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.dirichlet([0.1] * 4, n)
    sizes = random.integers(5, 50, n)
    return labels, 1 / random.uniform(0.5, 3, n), sizes @ labels / sizes.sum()


def divergence(rows: Any, labels: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> float:
    return float(entropy(weights[list(rows)] @ labels[list(rows)], wanted))


@pytest.mark.parametrize("n_fixed", [0, 2])
def test_of_few_the_best_is_chosen(n_fixed: int) -> None:
    labels, weights, wanted = skewed(8)
    rows = mixed_choice(4, labels, weights, wanted, n_fixed)
    fixed = set(range(n_fixed))
    every = [rows for rows in itertools.combinations(range(8), 4) if fixed <= set(rows)]
    assert divergence(rows, labels, weights, wanted) == pytest.approx(
        min(divergence(one, labels, weights, wanted) for one in every)
    )
    assert fixed <= set(rows)


def test_of_many_none_drawn_by_chance_is_better() -> None:
    labels, weights, wanted = skewed(60)
    rows = mixed_choice(12, labels, weights, wanted, n_fixed=2)
    assert len(set(rows)) == 12
    assert {0, 1} <= set(rows)
    random = np.random.default_rng(1)
    drawn = [divergence(random.choice(60, 12, replace=False), labels, weights, wanted) for _ in range(1000)]
    assert divergence(rows, labels, weights, wanted) < min(drawn) / 2


def by_label(*counts: tuple[int, int, int]) -> Any:
    """Clients with so many samples of each of three classes."""
    made = small_setup(len(counts), n_train=120)
    of_class = [np.flatnonzero(made.data.train.labels == label).tolist() for label in range(3)]
    shards = [
        np.sort([of_class[label].pop() for label in range(3) for _ in range(own[label])]) for own in counts
    ]
    return replace(made, shards=shards)


def test_who_has_the_missing_labels_is_chosen_and_nobody_waits_for_ever() -> None:
    # 0 and 1 together have what all have; so have 2 and 3, but for a little.
    setup = by_label((6, 6, 0), (0, 0, 6), (7, 4, 0), (0, 1, 7))
    world = stage(setup)
    steps = watched(world)
    framework = frameworks["mergesfl"](participation=K2, seconds_per_sample=[1, 1, 1, 1], patience=3)
    world.run(framework, 50)
    came = [tuple(step) for step in steps]
    totals = np.array([[6, 6, 0], [0, 0, 6], [7, 4, 0], [0, 1, 7]])
    wanted = totals.sum(0) / totals.sum()
    best = min(
        itertools.combinations(range(4), 2),
        key=lambda rows: divergence(rows, totals / totals.sum(1, keepdims=True), np.ones(4), wanted),
    )
    assert came[:6] == [best] * 6
    # 3 times 4/2 rounds are 6: then the other two come.
    assert came[6] == tuple(sorted({*range(4)} - {*best}))
    gaps = [np.diff([place for place, own in enumerate(came) if client in own]).max() for client in range(4)]
    assert max(gaps) <= 8
    drawn = stage(setup)
    of_chance = watched(drawn)
    drawn.run(
        frameworks["mergesfl"](participation=K2, choice="participation", seconds_per_sample=[1] * 4), 20
    )
    assert len({tuple(step) for step in of_chance}) > 3


# Training.


@pytest.mark.parametrize("optimizer", ["keep", "reset"])
def test_mergesfl_is_a_loop_with_one_model_and_one_loss_on_merged_features(optimizer: str) -> None:
    counts = (8, 4, 2), (2, 6, 6), (0, 0, 9), (9, 1, 1)
    setup, loop = by_label(*counts), Loop(by_label(*counts))
    world = stage(setup)
    steps = watched(world)
    framework = frameworks["mergesfl"](
        participation={"kind": "sample", "k": 3}, seconds_per_sample=[1, 2, 4, 4], global_batch=14, local_steps=2,
        optimizer=optimizer,
    )  # fmt: skip
    world.run(framework, N_ROUNDS)
    assert len(steps) == 2 * N_ROUNDS
    assert len({tuple(step) for step in steps}) > 1
    server, train = loop.servers[0], setup.data.train
    newest = [parameter.detach().clone() for parameter in loop.clients[0].parameters()]
    for first, second in zip(steps[::2], steps[1::2], strict=True):
        assert {c: one.size for c, one in first.items()} == {c: one.size for c, one in second.items()}
        sizes = {client: one.size for client, one in first.items()}
        speeds = {client: 1 / [1, 2, 4, 4][client] for client in sizes}
        for client, size in sizes.items():
            assert abs(size - 14 * speeds[client] / sum(speeds.values())) < 1
            with torch.no_grad():
                for parameter, new in zip(loop.clients[client].parameters(), newest, strict=True):
                    parameter.copy_(new)
            if optimizer == "reset":
                loop.of_clients[client].state.clear()
        for step in (first, second):
            rows = {client: setup.batches.indices(client, 0, one) for client, one in step.items()}
            smashed = {
                c: loop.clients[c](torch.from_numpy(train.inputs[own]).double()) for c, own in rows.items()
            }
            merged = torch.cat([one.detach() for one in smashed.values()]).requires_grad_()
            labels = torch.from_numpy(np.concatenate([train.labels[own] for own in rows.values()]))
            loop.of_servers[0].zero_grad()
            F.cross_entropy(server(merged), labels).backward()
            loop.of_servers[0].step()
            assert merged.grad is not None
            for client, cut in zip(rows, torch.split(merged.grad, list(sizes.values())), strict=True):
                loop.of_clients[client].zero_grad()
                smashed[client].backward(cut * 14 / sizes[client])
                loop.of_clients[client].step()
        with torch.no_grad():
            newest = [
                sum(p * size for p, size in zip(same, sizes.values(), strict=True)) / 14
                for same in zip(*(loop.clients[c].parameters() for c in sizes), strict=True)
            ]
    assert distance(of_server(world), list(server.parameters())) < CLOSE
    for client in range(4):  # Evaluations see the newest on every client.
        assert distance(of_client(world, client), newest) < CLOSE


def test_all_workers_of_one_speed_are_sfl_joined() -> None:
    setup = small_setup(4)
    merged = stage(setup).run(frameworks["mergesfl"](seconds_per_sample=[1.0] * 4), N_ROUNDS)
    sfl = stage(setup).run(frameworks["sfl"](server_schedule="joined"), N_ROUNDS)
    assert distance(of_server(merged), of_server(sfl)) < 1e-12
    assert distance(of_client(merged, 2), of_client(sfl, 2)) < 1e-12


# Time.


def test_time_and_bytes_are_those_of_the_sizes() -> None:
    setup = replace(small_setup(), shards=[np.arange(20), np.arange(20, 40)])
    links: dict[str, Any] = {"uplinks": (1600, 800), "downlinks": (1280, 640), "latency_s": 0.25}
    world = stage(setup, server_rate=2.0, **links)
    world.run(frameworks["mergesfl"](global_batch=12, seconds_per_sample=[1, 5]), 1)
    sent = {(s.client, s.phase): s.size_bytes for s in world.recorder.spans if s.size_bytes}
    # The client-side model: 6 x 4 weights and 4 biases of 8 bytes.
    assert sent == {
        (0, "model_downlink"): 224, (1, "model_downlink"): 224, (0, "uplink"): 400, (1, "uplink"): 80,
        (0, "downlink"): 320, (1, "downlink"): 64, (0, "model_uplink"): 224, (1, "model_uplink"): 224,
    }  # fmt: skip
    # 1792 bit take 1.4 and 2.8 s down, 1.12 and 2.24 s up; the others as in `test_global_batches`, from 3.05 s on: the
    # newest model must be there with all before sizes are known.
    assert_spans(
        world,
        "client-0",
        [
            ("model_downlink", 0.0, 1.65),
            ("waiting", 1.65, 3.05),
            ("client_forward", 3.05, 4.05),
            ("uplink", 4.05, 6.3),
            ("server_compute", 6.3, 8.8),
            ("downlink", 8.8, 11.05),
            ("client_backward", 11.05, 13.05),
            ("waiting", 13.05, 13.85),
            ("model_uplink", 13.85, 15.22),
            ("waiting", 15.22, 16.34),
            ("server_compute", 16.34, 16.59),
        ],
    )


def test_what_the_server_saw_decides_the_sizes_of_the_next_round() -> None:
    setup = replace(small_setup(), shards=[np.arange(20), np.arange(20, 40)])
    links: dict[str, Any] = {"uplinks": (1600, 400), "downlinks": (1280, 640), "latency_s": 0.25}
    world = stage(setup, rates=(1.0, 0.5), server_rate=2.0, **links)
    steps = watched(world)
    world.run(frameworks["mergesfl"](global_batch=12, memory=0.5), 3)
    sizes = [[one.size for one in step.values()] for step in steps]
    # 6 samples each: 1 s and 2 s forward, 1.2 s and 4.8 s up, 0.25 s of latency.
    seen = np.array([2.45, 7.05]) / 6
    assert sizes[:2] == [[6, 6], regulated(12, seen.tolist(), [20, 20])]
    assert sizes[1] == [9, 3]
    seen = (seen + np.array([1 + 9 * 0.2 + 0.25, 2 + 3 * 0.8 + 0.25]) / np.array([9, 3])) / 2
    assert sizes[2] == regulated(12, seen.tolist(), [20, 20])


def test_who_is_dropped_as_late_gets_fewer_samples_until_it_comes() -> None:
    setup = replace(small_setup(), shards=[np.arange(20), np.arange(20, 40)])
    links: dict[str, Any] = {"uplinks": (1600, 200), "downlinks": (1280, 1280), "latency_s": 0.0}
    world = stage(setup, server_rate=2.0, rates=(1.0, 1.0), **links)
    steps = watched(world)
    lateness = {"kind": "deadline", "after": 6.0}
    world.run(frameworks["mergesfl"](global_batch=10, lateness=lateness), 12)
    sizes = [{client: one.size for client, one in step.items()} for step in steps]
    # 5 samples of client 1 take 1 s and 5 x 1.6 s, 9 in all: it is dropped after 6, 1.2 s a sample; 0 takes 0.4.
    assert sizes[0] == {0: 5}
    assert list(sizes[1].values()) == regulated(10, [0.4, 1.2], [20, 20]) == [8, 2]
    # 2 take 4.2 s. From then on it comes in every round, and 2.1 s are what the server saw of it.
    assert all(set(own) == {0, 1} for own in sizes[1:])
    assert list(sizes[2].values()) == regulated(10, [0.8 * 0.4 + 0.2 * 2.6 / 8, 2.1], [20, 20])


def test_who_is_known_and_is_dropped_is_no_faster_than_it_was_seen() -> None:
    setup = small_setup()
    regulator = Regulator(setup, frameworks["mergesfl"](memory=0.5))
    assert regulator.seconds([0, 1]) == [1, 1]
    # Nobody came yet: nothing tells who is faster.
    regulator.saw(1, 3.0, came=False)
    assert regulator.seconds([0, 1]) == [1, 1]
    regulator.saw(0, 2.0)
    assert regulator.seconds([0, 1]) == [2, 3]
    # A link that fails at once tells nothing.
    regulator.saw(1, 0.1, came=False)
    regulator.saw(0, 0.1, came=False)
    assert regulator.seconds([0, 1]) == [2, 3]
    regulator.saw(1, 2.5)
    assert regulator.seconds([0, 1]) == [2, 2.5]
    regulator.saw(1, 1.5)
    assert regulator.seconds([0, 1]) == [2, 2.0]


def test_a_global_batch_that_some_workers_of_a_step_can_hold_is_taken() -> None:
    framework = frameworks["mergesfl"](participation=K2, global_batch=16, most=2)
    # 10, 6 and 4 at most: two of three take 16.
    assert framework.misfits([5, 3, 5], [90, 30, 4]) == []
    (text,) = replace(framework, global_batch=17).misfits([5, 3, 5], [90, 30, 4])
    assert "2 clients take 16 samples" in text
    # A batch is of what a client holds, whatever it says.
    assert replace(framework, global_batch=13).misfits([5, 50, 5], [90, 3, 3]) == []
    assert replace(framework, global_batch=14).misfits([5, 50, 5], [90, 3, 3])


SCENARIO: dict[str, Any] = {
    "framework": {"kind": "mergesfl", "participation": K2, "global_batch": 13, "local_steps": 2}
}


@pytest.mark.parametrize("seconds", ["observed", [1, 2, 1, 3]])
def test_a_dry_run_has_its_timeline_and_a_replay_its_training(tmp_path: Path, seconds: Any) -> None:
    framework = {**SCENARIO["framework"], "seconds_per_sample": seconds}
    scenario = load_dict(small_scenario(framework=framework))
    real, dry = simulate(scenario), simulate(scenario, dry=True)
    assert real.summary["timeline_sha256"] == dry.summary["timeline_sha256"]
    first, again = (simulate(scenario, journal=JournalSettings(tmp_path)) for _ in range(2))
    assert len({run.summary["learning_sha256"] for run in (real, first, again)}) == 1
    assert again.summary["journal"]["computed"] == 0
    assert scenario.framework.trains_by_the_clock == (seconds == "observed")


def test_it_is_planned_as_it_is() -> None:
    framework = frameworks["mergesfl"](participation=K2, global_batch=12, local_steps=3, most=2)
    batches, shards = [5, 5, 5], [90, 30, 4]
    assert framework.samples_per_round(batches, shards) == 3 * 12
    # 10, 10 and 4 at most: two of three have 16 on average.
    assert replace(framework, global_batch=100).samples_per_round(batches, shards) == pytest.approx(3 * 16)
    assert framework.largest_batches(batches, shards) == (10, 6)
    assert framework.optimizer_steps_per_round(batches, shards) == (pytest.approx(2.0), 3.0)
    run = simulate(load_dict(small_scenario(**SCENARIO)), dry=True)
    assert set(Counter(run.spans[run.spans["phase"] == "uplink"]["round"]).values()) == {4}
    assert run.summary["samples"] == 26 * run.summary["rounds"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"framework": {"seconds_per_sample": [1, 2]}}, "2 numbers for 4 clients"),
        ({"framework": {"seconds_per_sample": [1, 2, 0, 1]}}, "greater than 0"),
        ({"framework": {"seconds_per_sample": "fast"}}, "observed"),
        ({"framework": {"global_batch": 3}}, "write 4 or more"),
        ({"framework": {"global_batch": 129}}, "4 clients take 128 samples .* write 128 or less, or raise most"),
        ({"framework": {"participation": {"kind": "sample", "k": 9}}}, "4 clients"),
        ({"framework": {"server_schedule": "mean"}}, "write joined"),
        ({"framework": {"client_sync": "average"}}, "leave it out"),
        ({"framework": {"most": 0.5}}, "greater than or equal to 1"),
        ({"framework": {"client_update": {"kind": "frozen", "upload": "once"}}}, "upload"),
        ({"framework": {"lateness": {"kind": "deadline", "after": "1 s", "late": "used_next"}}}, "write dropped"),
        ({"data": {"kind": "table", "name": "diabetes", "target": "numbers"}, "training": {"loss": "mse"}}, "by class"),
        ({"shape": "u_shape"}, "server_schedule joined"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_in_words(settings: dict[str, Any], words: str) -> None:
    framework = {"kind": "mergesfl", **settings.pop("framework", {})}
    with pytest.raises(ScenarioError, match=words):
        simulate(load_dict(small_scenario(framework=framework, **settings)), dry=True)
