"""SCALA: a plain loop written from the paper, limits, a timeline worked out by hand, bytes, costs, refusals."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gapslsim import load_dict, simulate
from gapslsim.data.batches import Drawn
from gapslsim.errors import ProtocolError, ScenarioError
from gapslsim.frameworks._global_batches import allot, allot_some
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.logit_adjustment import LogitAdjustment, offsets
from gapslsim.learning.losses.cross_entropy import CrossEntropy
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build
from gapslsim.models.zoo.cnn import Cnn
from tests.support import Stage, small_setup, stage
from tests.unit.frameworks.test_global_batches import watched
from tests.unit.frameworks.test_methods import mean_of, put
from tests.unit.frameworks.test_server_schedules import Loop, distance, of_client, of_server, trained, unlike
from tests.unit.frameworks.test_timelines import assert_spans
from tests.worlds import small_scenario

N_ROUNDS = 10
CLOSE = 1e-8
BY_SAMPLES = {"kind": "average", "weights": "samples"}
HELD = ((8, 6, 0), (0, 4, 6), (0, 0, 4))
"""Samples of each class on each client: every client lacks a class or two."""


def skewed(**settings: Any) -> LearningSetup:
    """Three clients with 14, 10 and 4 samples, by `HELD`."""
    made = small_setup(3, **settings)
    of_class = [list(np.flatnonzero(made.data.train.labels == c)) for c in range(3)]
    shards = [np.array([of_class[c].pop() for c, n in enumerate(held) for _ in range(n)]) for held in HELD]
    return replace(made, shards=shards)


# Training.


def adjusted_loss(logits: Tensor, labels: Tensor, counts: np.ndarray, tau: float) -> Tensor:
    """Mean of -log of P(y)^tau exp(f_y) over the sum of that of all classes that there are; no logarithm of 0."""
    there = [c for c, n in enumerate(counts) if n > 0]
    shares = torch.from_numpy(counts / counts.sum())[there] ** tau
    weighed = shares * logits[:, there].exp()
    places = torch.tensor([there.index(int(label)) for label in labels])
    right = weighed[torch.arange(len(labels)), places]
    return -(right / weighed.sum(1)).log().mean()


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({"global_batch": 14}, (7, 5, 2)),
        ({"global_batch": 14, "cut_scale": "mean", "tau": 0.5}, (7, 5, 2)),
        ({"global_batch": 14, "server_prior": "batch"}, (7, 5, 2)),
        ({"global_batch": 14, "smoothing": 0.5}, (7, 5, 2)),
        ({"global_batch": 14, "smoothing": 2, "server_prior": "batch"}, (7, 5, 2)),
        # Two of client 2 in three steps would be its share; no step is without it.
        ({"global_batch": 3, "server_prior": "batch"}, (1, 1, 1)),
        # 28 samples are all that there are.
        ({"global_batch": 100}, (14, 10, 4)),
    ],
)
def test_scala_is_a_loop_with_two_adjusted_losses_and_averages_every_second_round(
    settings: dict[str, Any], sizes: tuple[int, ...]
) -> None:
    setup, loop = skewed(), Loop(skewed())
    world = stage(setup)
    steps = watched(world)
    world.run(frameworks["scala"](client_sync={**BY_SAMPLES, "every": 2}, **settings), N_ROUNDS)
    assert [tuple(one.size for one in step.values()) for step in steps] == [sizes] * N_ROUNDS
    server, train, tau = loop.servers[0], setup.data.train, settings.get("tau", 1.0)
    held = np.array(HELD) + settings.get("smoothing", 0)
    told = []
    for turn in range(N_ROUNDS):
        drawn = [Drawn(turn * n, n) for n in sizes]
        rows = [setup.batches.indices(client, 0, one) for client, one in enumerate(drawn)]
        smashed = [
            client(torch.from_numpy(train.inputs[own]).double())
            for client, own in zip(loop.clients, rows, strict=True)
        ]
        entered = torch.cat([one.detach() for one in smashed]).requires_grad_()
        labels = [torch.from_numpy(train.labels[own]) for own in rows]
        counts = np.array(HELD).sum(0)
        if settings.get("server_prior") == "batch":
            counts = np.bincount(torch.cat(labels).numpy(), minlength=3)
        counts = counts + settings.get("smoothing", 0)
        logits = server(entered)
        # The loss on the concatenated mini-batch, for the server's parameters.
        loss = adjusted_loss(logits, torch.cat(labels), counts, tau)
        told.append(float(loss.detach()))
        gradients = torch.autograd.grad(loss, list(server.parameters()), retain_graph=True)
        # The loss of each client, for its activations.
        split = zip(torch.split(logits, list(sizes)), labels, held, strict=True)
        own_losses = [adjusted_loss(own, right, n, tau) for own, right, n in split]
        (cuts,) = torch.autograd.grad(torch.stack(own_losses).sum(), entered)
        for parameter, gradient in zip(server.parameters(), gradients, strict=True):
            parameter.grad = gradient
        loop.of_servers[0].step()
        for client, (one, cut) in enumerate(zip(smashed, torch.split(cuts, list(sizes)), strict=True)):
            loop.of_clients[client].zero_grad()
            scale = sizes[client] / sum(sizes) if settings.get("cut_scale") == "mean" else 1
            one.backward(cut * scale)
            loop.of_clients[client].step()
        if turn % 2:
            mean = mean_of([list(module.parameters()) for module in loop.clients], (14, 10, 4))
            for module in loop.clients:
                put(list(module.parameters()), mean)
    assert distance(of_server(world), list(server.parameters())) < CLOSE
    for client in range(3):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < CLOSE
    # What is reported is the server's adjusted loss, of each mini-batch; their mean by samples is that of the step.
    reported = Counter[int]()
    for row in world.learner.observed.losses:
        reported[row.round] += row.loss * row.n_samples / sum(sizes)
    assert [reported[turn + 1] for turn in range(N_ROUNDS)] == pytest.approx(told, abs=CLOSE)


def test_without_tau_it_is_sfl_joined_under_the_same_keys() -> None:
    setup = replace(skewed(), batch_sizes=(7, 5, 2))
    scala = stage(setup).run(frameworks["scala"](tau=0, global_batch=14), N_ROUNDS)
    sfl = stage(setup).run(frameworks["sfl"](server_schedule="joined", client_sync=BY_SAMPLES), N_ROUNDS)
    assert scala.learner.server_state.key == sfl.learner.server_state.key
    assert scala.learner.client_state(2).key == sfl.learner.client_state(2).key
    assert distance(of_server(scala), of_server(sfl)) == 0
    assert scala.env.now == sfl.env.now
    adjusted = stage(setup).run(frameworks["scala"](global_batch=14), N_ROUNDS)
    assert distance(of_server(adjusted), of_server(scala)) > 1e-3


def test_where_all_labels_are_alike_frequent_nothing_changes() -> None:
    made = small_setup(2)
    of_class = [np.flatnonzero(made.data.train.labels == c) for c in range(3)]
    shards = [np.concatenate([own[k::2][:5] for own in of_class]) for k in range(2)]
    worlds = [stage(replace(made, shards=shards)).run(frameworks["scala"](tau=tau), 6) for tau in (0, 1)]
    assert distance(of_server(worlds[0]), of_server(worlds[1])) < 1e-12
    assert distance(of_client(worlds[0], 1), of_client(worlds[1], 1)) < 1e-12


def test_a_client_of_one_class_learns_nothing_from_its_own_loss() -> None:
    # Its softmax has one class left, so that its loss is 0 whatever the network says.
    setup = skewed()
    begun = [p.clone() for p in of_client(stage(setup), 2)]
    world = stage(setup).run(frameworks["scala"](global_batch=14, client_sync="never"), 3)
    assert distance(of_client(world, 2), begun) == 0
    assert distance(of_client(world, 0), begun) > 1e-3
    smoothed = stage(setup).run(frameworks["scala"](global_batch=14, smoothing=1, client_sync="never"), 3)
    assert distance(of_client(smoothed, 2), begun) > 1e-3


def test_local_steps_are_rounds_between_averages_by_the_same_clients() -> None:
    setup = skewed()
    inside = stage(setup).run(frameworks["scala"](global_batch=14, local_steps=2), 3)
    between = stage(setup).run(
        frameworks["scala"](global_batch=14, client_sync={**BY_SAMPLES, "every": 2}), 6
    )
    assert distance(of_server(inside), of_server(between)) < 1e-12
    assert distance(of_client(inside, 1), of_client(between, 1)) < 1e-12
    world = stage(small_setup(4))
    steps = watched(world)
    world.run(frameworks["scala"](local_steps=3, participation={"kind": "sample", "k": 2}), 6)
    who = [tuple(step) for step in steps]
    assert [who[3 * turn : 3 * turn + 3] for turn in range(6)] == [[who[3 * turn]] * 3 for turn in range(6)]
    assert len(set(who)) > 1


def test_the_gradients_that_are_measured_are_those_of_the_servers_loss() -> None:
    made = stage(small_setup(3))
    made.learner.measures_geometry = True
    made.run(frameworks["scala"](), 3)
    assert len(made.learner.observed.gradients) == 9
    for (
        row
    ) in made.learner.observed.updates:  # Mini-batches of one size: the update is the mean of all gradients.
        assert row.cos_to_mean == pytest.approx(1, abs=1e-9)
        assert row.norm_ratio == pytest.approx(1, abs=1e-9)


def test_offsets_are_logarithms_of_frequencies() -> None:
    made = offsets(np.array([[2, 0, 6], [1, 1, 2]]), LogitAdjustment(tau=2))
    assert made[0].tolist() == pytest.approx([2 * math.log(1 / 4), -math.inf, 2 * math.log(3 / 4)])
    assert made[1].tolist() == pytest.approx([2 * math.log(1 / 4)] * 2 + [2 * math.log(1 / 2)])
    smoothed = offsets(np.array([2, 0, 6]), LogitAdjustment(tau=1, smoothing=4))
    assert smoothed.tolist() == pytest.approx([math.log(n / 20) for n in (6, 4, 10)])


def test_whatever_changes_training_changes_its_keys() -> None:
    def key(setup: LearningSetup, **settings: Any) -> str:
        world = stage(setup, dry=True).run(frameworks["scala"](**{"global_batch": 14} | settings), 1)
        return world.learner.server_state.key

    setup = skewed()
    moved = replace(setup, shards=[setup.shards[0], setup.shards[1], setup.shards[2][::-1].copy()])
    others: list[dict[str, Any]] = [{}, {"tau": 0.5}, {"tau": 0}, {"server_prior": "batch"}, {"smoothing": 1}]
    keys = [key(setup, **settings) for settings in others] + [key(moved)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("prior", ["shards", "batch"])
def test_heavily_skewed_data_have_finite_losses_in_float32(prior: str) -> None:
    data = {"kind": "synthetic", "input_shape": [8], "n_classes": 10, "n_train": 240, "n_test": 80}
    data |= {"partition": {"kind": "shards", "classes_per_client": 2}}
    framework = {"kind": "scala", "server_prior": prior, "global_batch": 9, "tau": 3}
    results = simulate(load_dict(small_scenario(data=data, framework=framework, stop={"rounds": 30})))
    losses = results.losses["loss"].tolist()
    assert len(losses) == 120
    assert np.isfinite(losses).all()


# Time, bytes, costs.


def test_time_and_bytes_are_those_of_the_sizes_and_of_two_backward_passes() -> None:
    # Client 0 has 20 of 24 samples, so that 12 are divided 10 to 2; see `test_timelines` for costs and links.
    rows = np.arange(24)
    setup = replace(small_setup(), shards=[rows[:20], rows[20:]])
    links: dict[str, Any] = {"uplinks": (1600, 800), "downlinks": (1280, 640), "latency_s": 0.25}
    world = stage(setup, server_rate=2.0, **links)
    world.run(frameworks["scala"](global_batch=12), 1)
    sent = {(s.client, s.phase): s.size_bytes for s in world.recorder.spans if s.size_bytes}
    weights = (6 * 4 + 4) * 8
    assert sent == {
        (0, "uplink"): 10 * 40,
        (1, "uplink"): 2 * 40,
        (0, "downlink"): 10 * 32,
        (1, "downlink"): 2 * 32,
        **{(client, way): weights for client in (0, 1) for way in ("model_uplink", "model_downlink")},
    }
    # 3200 bit at 1600 bit/s; the server's two backward passes make it 3 FLOP for each client at 2 FLOP/s. Back go 2560
    # bit at 1280 bit/s, and 512 bit at 640 bit/s to client 1, which is done at 11.3. Weights are 1792 bit: 1.12 s and
    # 2.24 s up, 0.25 s for the mean at 2 FLOP/s, 1.4 s and 2.8 s down, each with a latency of 0.25 s.
    assert_spans(
        world,
        "client-0",
        [
            ("client_forward", 0.0, 1.0),
            ("uplink", 1.0, 3.25),
            ("server_compute", 3.25, 6.25),
            ("downlink", 6.25, 8.5),
            ("client_backward", 8.5, 10.5),
            ("waiting", 10.5, 11.3),
            ("model_uplink", 11.3, 12.67),
            ("waiting", 12.67, 13.79),
            ("server_compute", 13.79, 14.04),
            ("model_downlink", 14.04, 15.69),
            ("waiting", 15.69, 17.09),
        ],
    )


def test_a_second_backward_pass_costs_what_gradients_of_its_inputs_do() -> None:
    # The server of the small set-up: tanh of 4 to 5, then 5 to 3; 10 samples.
    costs = OperationCosts(small_setup())
    plain, adjusted = (costs.joined_step([7, 3], MeanUpdate(), adjusted=own) for own in (False, True))
    loss_again, additions = 5 * 30, 2 * 30
    # Of the two backward passes: the loss, the input of the head, the activation (5 FLOP an element).
    back_again = 2 * 30 + 2 * 10 * 15 + 5 * 50
    assert adjusted.work_flop - plain.work_flop == loss_again + additions + back_again


def test_clients_that_do_not_train_cost_no_second_backward_pass() -> None:
    world = stage(small_setup(), server_rate=2.0)
    world.run(frameworks["scala"](client_update="frozen"), 1)
    took = [end - start for phase, start, end in world.spans("server") if phase == "server_step"]
    assert took == pytest.approx([2.5])


def test_planned_samples_and_sizes_are_those_of_the_run() -> None:
    setup = skewed()
    shards, own = [14, 10, 4], [5, 5, 4]
    for settings, n, largest in (
        ({}, 14, (7, 5)),
        ({"global_batch": 6, "local_steps": 3}, 18, (3, 2)),
        ({"global_batch": 100}, 28, (14, 14)),
    ):
        framework = frameworks["scala"](**settings)
        world = stage(setup)
        steps = watched(world)
        world.run(framework, 2)
        assert world.learner.samples_seen == 2 * framework.samples_per_round(own, shards) == 2 * n
        assert framework.largest_batches(own, shards) == largest
        assert max(one.size for step in steps for one in step.values()) == largest[0]
        local = settings.get("local_steps", 1)
        assert framework.optimizer_steps_per_round(own, shards) == (local, local)
        assert world.learner.server_state.value.n_updates == 2 * local
    few = frameworks["scala"](global_batch=6, participation={"kind": "sample", "k": 2})
    assert few.largest_batches(own, shards) == (5, 3)  # 14 beside 4 of 18
    assert few.samples_per_round(own, shards) == pytest.approx(6)


def test_shares_leave_nobody_out() -> None:
    assert allot(5, [100, 1, 1]) == [5, 0, 0]
    assert allot_some(5, [100, 1, 1]) == [3, 1, 1]
    assert allot_some(3, [100, 1, 50]) == [1, 1, 1]
    assert allot_some(16, [8, 5, 3]) == [8, 5, 3]


SCENARIO: dict[str, Any] = {
    "framework": {"kind": "scala", "global_batch": 13, "local_steps": 2},
    "data": {
        "kind": "synthetic", "input_shape": [8], "n_classes": 4, "n_train": 240, "n_test": 80,
        "partition": {"kind": "dirichlet", "alpha": 0.1},
    },
}  # fmt: skip


def test_a_dry_run_has_its_timeline_and_a_replay_its_training(tmp_path: Path) -> None:
    scenario = load_dict(small_scenario(**SCENARIO))
    real, dry = simulate(scenario), simulate(scenario, dry=True)
    assert real.summary["timeline_sha256"] == dry.summary["timeline_sha256"]
    first, again = (simulate(scenario, journal=JournalSettings(tmp_path)) for _ in range(2))
    hashes = {run.summary["learning_sha256"] for run in (real, first, again)}
    assert len(hashes) == 1
    assert first.summary["journal"]["computed"] > 0
    assert again.summary["journal"]["computed"] == 0


# Limits.

NUMBERS = {"kind": "table", "name": "diabetes", "target": "numbers"}


@pytest.mark.parametrize(
    ("settings", "sections", "words"),
    [
        ({"tau": -1}, {}, "greater than or equal to 0"),
        ({"local_steps": 0}, {}, "greater than or equal to 1"),
        ({"global_batch": 3}, {}, "write 4 or more"),
        ({"server_schedule": "mean"}, {}, "write joined"),
        ({"server_schedule": "copies"}, {}, "write joined"),
        ({"server_schedule": "pooled"}, {}, "write joined"),
        ({"client_sync": {"kind": "average", "every": "epoch"}}, {}, "write local_steps"),
        ({"client_update": {"kind": "frozen", "upload": "once"}}, {}, "upload"),
        ({}, {"training": {"loss": {"kind": "cross_entropy", "label_smoothing": 0.1}}}, "label_smoothing: 0"),
        ({}, {"training": {"loss": {"kind": "cross_entropy", "class_weights": "balanced"}}}, "tau: 0"),
        ({}, {"training": {"loss": "mse"}}, "write cross_entropy"),
        ({}, {"training": {"compile": "compile"}}, "Write none"),
        ({}, {"data": NUMBERS, "training": {"loss": "mse"}}, "write tau: 0"),
        ({}, {"shape": {"kind": "u_shape", "tail": 1}}, "joined"),
        ({}, {"clock": {"server": {"serves": "on_arrival"}}}, "at_barrier"),
    ],
)
def test_what_has_no_meaning_is_refused_in_words(
    settings: dict[str, Any], sections: dict[str, Any], words: str
) -> None:
    with pytest.raises(ScenarioError, match=words):
        simulate(load_dict(small_scenario(framework={"kind": "scala", **settings}, **sections)), dry=True)


def test_what_cannot_be_adjusted_runs_without_tau() -> None:
    sections: dict[str, Any] = {"training": {"loss": {"kind": "cross_entropy", "label_smoothing": 0.1}}}
    results = simulate(load_dict(small_scenario(framework={"kind": "scala", "tau": 0}, **sections)))
    assert results.summary["rounds"] == 4


def test_a_step_refuses_what_it_cannot_adjust() -> None:
    def step(setup: LearningSetup, joined: bool) -> None:
        world = stage(setup, dry=True)
        smashed = [world.learner.client_forward(c).carry_out() for c in range(2)]
        rule, cut_rule = MeanUpdate(), frameworks["scala"]().cut_rule
        world.learner.server_step(smashed, rule, cut_rule, joined=joined)

    step(small_setup(), True)
    with pytest.raises(ProtocolError, match="server_schedule: joined"):
        step(small_setup(), False)
    with pytest.raises(ProtocolError, match="label_smoothing"):
        step(replace(small_setup(), loss=CrossEntropy(label_smoothing=0.1)), True)


def test_two_mini_batches_of_a_client_count_its_labels_once() -> None:
    def server(clients: tuple[int, ...]) -> Stage:
        world = stage(skewed())
        smashed = [world.learner.client_forward(c).carry_out() for c in clients]
        cut_rule = frameworks["scala"]().cut_rule
        world.learner.server_step(smashed, MeanUpdate(), cut_rule, joined=True).carry_out()
        return world

    world, setup = server((0, 1, 1)), skewed()
    loop = Loop(setup)
    batches = [loop.batch(0, 0), loop.batch(1, 0), loop.batch(1, 1)]
    entered = torch.cat([loop.clients[0](inputs).detach() for inputs, _ in batches])
    labels = torch.cat([right for _, right in batches])
    adjusted_loss(loop.servers[0](entered), labels, np.array(HELD)[:2].sum(0), 1.0).backward()
    loop.of_servers[0].step()
    assert distance(of_server(world), list(loop.servers[0].parameters())) < CLOSE


def test_unlike_sizes_of_the_scenario_are_divided_anew() -> None:
    world = trained(unlike(), 2, "scala")  # batches of 5, 5 and 4; 20, 10 and 4 samples
    assert [row.n_samples for row in world.learner.observed.losses] == [8, 4, 2] * 2


def test_where_layers_mix_samples_a_cut_gradient_is_of_all_losses_over_the_clients_share() -> None:
    model = Cnn(channels=(2, 3, 3), norm="batch", cut=1)
    setup = skewed(model=model, input_shape=(1, 8, 8))
    world, module = stage(setup), build(model, (1, 8, 8), 3, setup.seed)
    smashed = [world.learner.client_forward(c, batch_size=n).carry_out() for c, n in enumerate((7, 5, 2))]
    cut_rule = frameworks["scala"]().cut_rule
    reply = world.learner.server_step(smashed, MeanUpdate(), cut_rule, joined=True).carry_out()
    entered = torch.cat([one.value.activations.detach() for one in smashed]).requires_grad_()
    logits = torch.split(module.server.double().train()(entered), [7, 5, 2])
    losses = [
        n / 14 * adjusted_loss(own, one.value.labels, np.array(held), 1.0)
        for own, one, held, n in zip(logits, smashed, HELD, (7, 5, 2), strict=True)
    ]
    (cuts,) = torch.autograd.grad(torch.stack(losses).sum(), entered)
    for client, (cut, n) in enumerate(zip(torch.split(cuts, [7, 5, 2]), (7, 5, 2), strict=True)):
        assert distance([reply.own[client].value], [cut * 14 / n]) < CLOSE
    assert (
        float(reply.own[2].value.abs().max()) > 1e-6
    )  # Its own loss is 0; what it feels is that of the others.
