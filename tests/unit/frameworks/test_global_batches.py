"""Mini-batches whose sizes the method says: draws, plain loops, timelines worked out by hand, bytes, limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gapslsim import load_dict, simulate
from gapslsim.data.batches import BatchPlan, Drawn
from gapslsim.errors import ProtocolError, ScenarioError
from gapslsim.frameworks._global_batches import allot, compose, share_without
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.scenario.checks import deep_problems
from tests.support import Stage, small_setup, stage
from tests.unit.frameworks.test_server_schedules import Loop, distance, of_client, of_server, unlike
from tests.unit.frameworks.test_timelines import assert_spans
from tests.worlds import small_scenario

N_ROUNDS = 10
CLOSE = 1e-8


def watched(world: Stage) -> list[dict[int, Drawn]]:
    """Where the mini-batches of each step of the server lie in their clients' streams."""
    steps: list[dict[int, Drawn]] = []
    step_of, places = world.learner.server_step, Counter[int]()

    def noted(smashed: Any, *given: Any, **how: Any) -> Any:
        steps.append({c: Drawn(places[c], one.batch.size) for c, one in sorted(smashed.items())})
        places.update({c: one.batch.size for c, one in smashed.items()})
        return step_of(smashed, *given, **how)

    world.learner.server_step = noted  # type: ignore[method-assign]
    return steps


# Draws.


def test_a_global_batch_is_a_uniform_draw_of_what_is_left() -> None:
    shards, taken, n_wanted, n_draws = [50, 30, 20], [10, 30, 5], 20, 4000
    left = np.array([40, 0, 15])
    stream = np.random.default_rng(3)
    drawn = np.array([compose(n_wanted, shards, taken, lambda: stream) for _ in range(n_draws)])
    assert (drawn.sum(1) == n_wanted).all()
    share = left / left.sum()
    mean = n_wanted * share
    variance = n_wanted * share * (1 - share) * (left.sum() - n_wanted) / (left.sum() - 1)
    # Five standard errors; a draw with replacement has a variance 1.5 times as large.
    assert drawn.mean(0) == pytest.approx(mean, abs=5 * float(np.sqrt(variance.max() / n_draws)))
    assert drawn.var(0) == pytest.approx(variance, rel=0.12)


def test_a_draw_is_that_of_its_stream() -> None:
    def stream() -> np.random.Generator:
        return np.random.default_rng(11)

    expected = stream().multivariate_hypergeometric([8, 5, 3], 6, method="marginals").tolist()
    assert compose(6, [8, 5, 3], [0, 0, 0], stream) == expected
    # The epoch ends with 1 + 0 + 2 samples; the other 3 are of the next.
    rest = stream().multivariate_hypergeometric([8, 5, 3], 3, method="marginals")
    assert compose(6, [8, 5, 3], [7, 5, 1], stream) == (rest + np.array([1, 0, 2])).tolist()
    # More than all data: once all, then the rest.
    assert (
        compose(20, [8, 5, 3], [0, 0, 0], stream)
        == (
            np.array([8, 5, 3]) + stream().multivariate_hypergeometric([8, 5, 3], 4, method="marginals")
        ).tolist()
    )


def test_shares_in_proportion_sum_up_and_keep_to_what_is_left() -> None:
    assert allot(6, [8, 5, 3]) == [3, 2, 1]
    assert allot(2, [1, 1, 1]) == [1, 1, 0]
    assert allot(7, [8, 5, 3]) == [4, 2, 1]
    assert compose(6, [8, 5, 3], [0, 0, 0]) == [3, 2, 1]
    assert compose(1, [1, 1, 8], [1, 0, 0]) == [0, 0, 1]


@pytest.mark.parametrize("draw", ["hypergeometric", "proportional"])
def test_every_sample_is_used_once_per_epoch(draw: str) -> None:
    setup = unlike()  # 34 samples
    world = stage(setup)
    steps = watched(world)
    world.run(frameworks["gpsl"](global_batch=17, draw=draw), 6)
    assert [sum(one.size for one in step.values()) for step in steps] == [17] * 6
    for epoch in range(3):
        rows = [
            setup.batches.indices(client, 0, one)
            for step in steps[2 * epoch : 2 * epoch + 2]
            for client, one in step.items()
        ]
        assert sorted(np.concatenate(rows).tolist()) == list(range(34))
    assert world.learner.samples_seen == 3 * 34


def test_the_share_of_draws_without_a_client_is_that_of_counting() -> None:
    from math import comb

    assert share_without(6, 3, 16) == pytest.approx(comb(13, 6) / comb(16, 6), rel=1e-12)
    assert share_without(14, 3, 16) == 0
    framework = frameworks["gpsl"](global_batch=6)
    expected = 1 - np.mean([share_without(6, n, 34) for n in (20, 10, 4)])
    assert framework.optimizer_steps_per_round([5, 5, 4], [20, 10, 4]) == (pytest.approx(expected), 1.0)


def test_a_drawn_batch_is_a_stretch_of_the_clients_stream() -> None:
    plan = BatchPlan(1, [np.arange(5)], 2)
    stream = np.concatenate([plan.indices(0, step) for step in range(10)])
    assert plan.indices(0, 4, Drawn(3, 11)).tolist() == stream[3:14].tolist()
    with pytest.raises(ValueError, match="a sample or more"):
        plan.indices(0, 0, Drawn(0, 0))
    with pytest.raises(ProtocolError, match="a sample or more"):
        stage(small_setup()).learner.client_forward(0, batch_size=0)


# Training.


@pytest.mark.parametrize("scale", ["own", "mean"])
@pytest.mark.parametrize("draw", ["hypergeometric", "proportional"])
def test_gpsl_is_a_loop_with_one_loss_on_the_global_batch(draw: str, scale: str) -> None:
    setup, loop = unlike(), Loop(unlike())
    world = stage(setup)
    steps = watched(world)
    world.run(frameworks["gpsl"](global_batch=6, draw=draw, cut_scale=scale), N_ROUNDS)
    assert len(steps) == N_ROUNDS
    server, train = loop.servers[0], setup.data.train
    for step in steps:
        rows = {client: setup.batches.indices(client, 0, one) for client, one in step.items()}
        smashed = {
            c: loop.clients[c](torch.from_numpy(train.inputs[own]).double()) for c, own in rows.items()
        }
        entered = torch.cat([one.detach() for one in smashed.values()]).requires_grad_()
        labels = torch.from_numpy(np.concatenate([train.labels[own] for own in rows.values()]))
        loop.of_servers[0].zero_grad()
        F.cross_entropy(server(entered), labels).backward()
        loop.of_servers[0].step()
        assert entered.grad is not None
        cuts = torch.split(entered.grad, [one.size for one in step.values()])
        for (client, one), cut in zip(smashed.items(), cuts, strict=True):
            loop.of_clients[client].zero_grad()
            one.backward(cut * (6 / step[client].size if scale == "own" else 1))
            loop.of_clients[client].step()
    assert distance(of_server(world), list(server.parameters())) < CLOSE
    for client in range(3):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < CLOSE
    if draw == "hypergeometric":
        assert any(len(step) < 3 for step in steps)


def test_equal_shards_in_proportion_are_psl_joined_under_the_same_keys() -> None:
    gpsl, psl = (
        stage(small_setup(4)).run(frameworks[kind](**settings), N_ROUNDS)
        for kind, settings in (
            ("gpsl", {"draw": "proportional"}),
            ("psl", {"server_schedule": "joined"}),
        )
    )
    assert gpsl.learner.server_state.key == psl.learner.server_state.key
    assert gpsl.learner.client_state(2).key == psl.learner.client_state(2).key
    assert gpsl.env.now == psl.env.now


def test_time_and_bytes_are_those_of_the_sizes_that_were_drawn() -> None:
    # Client 0 has 20 of 24 samples, so that 12 are divided 10 to 2; see `test_timelines` for costs and links.
    made = small_setup()
    rows = np.arange(24)
    setup = replace(made, shards=[rows[:20], rows[20:]])
    links: dict[str, Any] = {"uplinks": (1600, 800), "downlinks": (1280, 640), "latency_s": 0.25}
    world = stage(setup, server_rate=2.0, **links)
    world.run(frameworks["gpsl"](global_batch=12, draw="proportional"), 1)
    sent = {(s.client, s.phase): s.size_bytes for s in world.recorder.spans if s.size_bytes}
    assert sent == {
        (0, "uplink"): 10 * 40,
        (1, "uplink"): 2 * 40,
        (0, "downlink"): 10 * 32,
        (1, "downlink"): 2 * 32,
    }
    # 3200 bit at 1600 bit/s and 640 bit at 800 bit/s; the server's joined pass is 2.5 FLOP for each client at 2 FLOP/s,
    # once both are there; back go 2560 bit at 1280 bit/s and 512 bit at 640 bit/s.
    assert_spans(
        world,
        "client-0",
        [
            ("client_forward", 0.0, 1.0),
            ("uplink", 1.0, 3.25),
            ("server_compute", 3.25, 5.75),
            ("downlink", 5.75, 8.0),
            ("client_backward", 8.0, 10.0),
            ("waiting", 10.0, 10.8),
        ],
    )
    assert world.spans("client-1")[1] == ("uplink", pytest.approx(2.0), pytest.approx(3.05))


def test_who_has_no_sample_waits() -> None:
    made = small_setup()
    setup = replace(made, shards=[np.arange(30), np.arange(30, 31)])
    world = stage(setup)
    steps = watched(world)
    world.run(frameworks["gpsl"](global_batch=2, draw="proportional"), 2)
    assert [set(step) for step in steps] == [{0}, {0}]
    assert {phase for phase, *_ in world.spans("client-1")} == {"waiting"}


SCENARIO: dict[str, Any] = {"framework": {"kind": "gpsl", "global_batch": 13}}


def test_a_dry_run_has_its_timeline_and_a_replay_its_training(tmp_path: Path) -> None:
    scenario = load_dict(small_scenario(**SCENARIO))
    real, dry = simulate(scenario), simulate(scenario, dry=True)
    assert real.summary["timeline_sha256"] == dry.summary["timeline_sha256"]
    first, again = (simulate(scenario, journal=JournalSettings(tmp_path)) for _ in range(2))
    hashes = {run.summary["learning_sha256"] for run in (real, first, again)}
    assert len(hashes) == 1
    assert again.summary["journal"]["computed"] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"global_batch": 0}, "greater than 0"),
        ({"server_schedule": "copies"}, "write joined, mean or sum"),
        ({"server_schedule": "pooled"}, "write joined, mean or sum"),
        ({"client_sync": {"kind": "average", "every": "epoch"}}, "write a number of rounds"),
        ({"client_update": {"kind": "frozen", "upload": "once"}}, "upload"),
    ],
)
def test_what_has_no_meaning_is_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        simulate(load_dict(small_scenario(framework={"kind": "gpsl", **settings})), dry=True)


@pytest.mark.parametrize("framework", ["gpsl", "scala"])
def test_batch_norm_that_cannot_train_on_one_sample_is_refused_before_it_is_drawn(framework: str) -> None:
    settings = small_scenario(framework={"kind": framework, "global_batch": 6})
    settings["data"] = {"kind": "synthetic", "input_shape": [3, 1, 1], "n_train": 60, "n_test": 20}
    settings["model"] = {"kind": "cnn", "channels": [8, 8], "norm": "batch", "cut": 1}

    def problems(**changed: Any) -> list[str]:
        return [problem.message for problem in deep_problems(load_dict(settings | changed))]

    (found,) = problems()
    assert found.startswith(f"{framework} draws the sizes of mini-batches, and batch norm cannot train")
    assert "take a norm of groups" in found
    assert not problems(model=settings["model"] | {"norm": "group"})
    # Mini-batches of a fixed size, and maps of more than one number.
    assert not problems(framework={"kind": "psl", "server_schedule": "joined"})
    assert not problems(data=settings["data"] | {"input_shape": [3, 4, 4]})
