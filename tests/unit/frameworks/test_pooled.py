"""A server that trains on the pooled samples of a round, and then answers: CycleSL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.losses.cross_entropy import CrossEntropy
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.zoo.cnn import Cnn
from gapslsim.models.zoo.vgg16 import Vgg16
from gapslsim.rng import stream
from tests.support import small_setup, stage
from tests.unit.frameworks.test_server_schedules import (
    Loop,
    distance,
    of_client,
    of_server,
    trained,
    unlike,
)
from tests.unit.frameworks.test_timelines import FORWARD_TO_SERVER_0, FORWARD_TO_SERVER_1, assert_spans
from tests.unit.frameworks.test_timelines import run as timed

SFL = {"kind": "average", "weights": "samples"}


class Pool(Loop):
    """CycleSL as a loop over modules, after the steps of the public code; the orders are those that gapslsim draws."""

    def round(self, number: int, epochs: int, batch_size: int, weighed: bool = True) -> None:
        clients = range(self.setup.n_clients)
        batches = [self.batch(client, number - 1) for client in clients]
        smashed = [module(inputs) for module, (inputs, _) in zip(self.clients, batches, strict=True)]
        pool = torch.cat([one.detach() for one in smashed])
        labels = torch.cat([own for _, own in batches])
        counts = [len(self.setup.shards[client]) if weighed else 1 for client in clients]
        weights = torch.cat(
            [torch.full((len(y),), float(n)) for n, (_, y) in zip(counts, batches, strict=True)]
        )
        server, optimizer = self.servers[0], self.of_servers[0]
        random = stream(self.setup.seed, "server_training", number)
        for _ in range(epochs):
            order = random.permutation(len(labels))
            for first in range(0, len(order), batch_size):
                chosen = order[first : first + batch_size]
                optimizer.zero_grad()
                losses = F.cross_entropy(server(pool[chosen]), labels[chosen], reduction="none")
                ((losses * weights[chosen]).sum() / weights[chosen].sum()).backward()
                optimizer.step()
        for one, (_, own), of_own in zip(smashed, batches, self.of_clients, strict=True):
            entered = one.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(server(entered), own), entered)
            of_own.zero_grad()
            one.backward(gradient)
            of_own.step()


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("batch_size", [4, 100])
@pytest.mark.parametrize("weights", ["samples", "uniform"])
def test_weights_are_those_of_a_plain_loop(epochs: int, batch_size: int, weights: str) -> None:
    schedule = {"kind": "pooled", "epochs": epochs, "batch_size": batch_size, "weights": weights}
    world, loop = trained(unlike(), 10, "cyclesl", server_schedule=schedule), Pool(unlike())
    for number in range(1, 11):
        loop.round(number, epochs, batch_size, weights == "samples")
    assert distance(of_server(world), list(loop.servers[0].parameters())) < 1e-10
    for client in range(3):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < 1e-10
    assert world.learner.server_steps == 10 * epochs * -(-14 // batch_size)
    assert world.learner.samples_seen == 10 * 14


def test_with_averages_it_is_cyclesfl() -> None:
    world, loop = trained(small_setup(3), 10, "cyclesl", client_sync=SFL), Pool(small_setup(3))
    sizes = [len(shard) for shard in loop.setup.shards]
    assert max(sizes) - min(sizes) == 1
    for number in range(1, 11):
        loop.round(number, 1, 5)
        with torch.no_grad():
            for same in zip(*(module.parameters() for module in loop.clients), strict=True):
                mean = sum(p * n for p, n in zip(same, sizes, strict=True)) / sum(sizes)
                for parameter in same:
                    parameter.copy_(mean)
    for client in range(3):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < 1e-10


def test_a_pool_of_one_step_is_the_joined_step_and_its_answer_comes_after() -> None:
    pooled = trained(
        small_setup(3), 1, "psl", server_schedule={"kind": "pooled", "batch_size": 15, "weights": "uniform"}
    )
    joined = trained(small_setup(3), 1, "psl", server_schedule="joined")
    assert distance(of_server(pooled), of_server(joined)) < 1e-10
    assert distance(of_client(pooled, 0), of_client(joined, 0)) > 1e-6


def test_the_server_trains_and_then_answers() -> None:
    # 10 samples in steps of 5: two of 1.5 FLOP at 2 FLOP/s; answers cost 3 for each client, as a step does here.
    world = timed("cyclesl")
    assert_spans(world, "server", [("server_training", 4.25, 5.75), ("cut_gradients", 5.75, 8.75)])
    assert_spans(
        world,
        "client-1",
        [
            *FORWARD_TO_SERVER_1,
            ("server_compute", 4.25, 5.75),
            ("server_compute", 5.75, 8.75),
            ("downlink", 8.75, 11.0),
            ("client_backward", 11.0, 15.0),
        ],
    )
    assert world.spans("client-0")[:2] == [pytest.approx(span) for span in FORWARD_TO_SERVER_0]


def test_frozen_clients_are_not_answered() -> None:
    world = timed("cyclesl", client_update="frozen")
    assert_spans(world, "server", [("server_training", 4.25, 5.75)])
    assert world.env.now == pytest.approx(5.75)


def test_frozen_clients_send_once_and_the_server_goes_on_alone() -> None:
    once, always = (
        trained(unlike(), 6, "cyclesl", client_update={"kind": "frozen", "upload": upload})
        for upload in ("once", "always")
    )
    assert distance(of_server(once), of_server(always)) == 0
    assert once.env.now < always.env.now


def test_costs_are_those_of_the_passes_that_are_made() -> None:
    costs = stage(small_setup(), fixed_costs=False).learner.costs
    # 4 -> 5 -> 3: products are 2 * 5 * (20 + 15) FLOP forward. Gradients of weights need as many, that at the cut too.
    whole = costs.split(5).server.backward
    weights, cut = (costs._server_backward(5, of_weights=own) for own in (True, False))

    def products(cost: Any) -> float:
        return sum(layer.work_flop * n for layer, n in cost.flat() if layer.kind == "linear")

    assert products(whole) == 2 * 5 * (2 * (20 + 15)) + products(weights) - 2 * 5 * (20 + 2 * 15)
    assert products(cut) == 2 * 5 * (20 + 15)
    assert products(weights) + products(cut) - 2 * 5 * 15 == products(whole)
    of_two = costs.server_training((5, 5), 1)
    assert costs.server_training((5, 5), 3).work_flop == 3 * of_two.work_flop


def test_a_learning_rate_schedule_and_the_planned_rounds_count_the_steps() -> None:
    framework: Any = frameworks["cyclesl"](server_schedule={"kind": "pooled", "epochs": 2, "batch_size": 4})
    assert framework.optimizer_steps_per_round([5, 5, 4], [20, 10, 4]) == (1, 8)
    per_epoch = frameworks["cyclesl"](client_sync={"kind": "average", "every": "epoch"})
    # 4, 2 and 1 mini-batches: 14 samples, twice 10 and 5, in steps of 5 (all of the largest that came).
    assert per_epoch.optimizer_steps_per_round([5, 5, 4], [20, 10, 4])[1] == 3 + 2 + 1 + 1


def test_class_weights_weigh_samples_as_in_every_loss() -> None:
    loss = CrossEntropy(class_weights=(0.5, 1.0, 3.0))
    setup = replace(small_setup(2), loss=loss)
    pooled = trained(setup, 1, "psl", server_schedule={"kind": "pooled", "batch_size": 10})
    loop = Loop(setup)
    batches = [loop.batch(client, 0) for client in range(2)]
    entered = torch.cat([module(x).detach() for module, (x, _) in zip(loop.clients, batches, strict=True)])
    weights = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    F.cross_entropy(loop.servers[0](entered), torch.cat([y for _, y in batches]), weights).backward()
    loop.of_servers[0].step()
    assert distance(of_server(pooled), list(loop.servers[0].parameters())) < 1e-10


def test_where_layers_mix_samples_no_step_takes_a_single_one() -> None:
    setup: LearningSetup = small_setup(
        2, model=Cnn(channels=(3, 4), cut=1, norm="batch"), input_shape=(1, 6, 6)
    )
    setup = replace(setup, shards=[np.arange(0, 20), np.arange(20, 24)])  # batches of 5 and 4
    world = stage(setup).run(frameworks["cyclesl"](server_schedule={"kind": "pooled", "batch_size": 4}), 2)
    assert world.learner.server_steps == 2 * 2
    plain = stage(unlike()).run(
        frameworks["cyclesl"](server_schedule={"kind": "pooled", "batch_size": 13}), 1
    )
    assert plain.learner.server_steps == 2


def test_dropout_draws_anew_in_each_step_and_a_replay_the_same() -> None:
    model = Vgg16(width=0.05, cut=4, dropout=0.5, classifier=(8,))
    setup = small_setup(2, model=model, input_shape=(1, 32, 32))
    worlds = [stage(setup).run(frameworks["cyclesl"](), 2) for _ in range(2)]
    assert distance(of_server(worlds[0]), of_server(worlds[1])) == 0


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("gapsl", {"server_schedule": "pooled"}, "no step in which a rule decides"),
    ],
)
def test_what_does_not_go_together_is_refused(kind: str, settings: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in frameworks[kind](**settings).problems(4))


def test_shapes_and_unlike_cuts_are_refused_in_words() -> None:
    framework = frameworks["cyclesl"]()
    assert "waits for a gradient" in framework.two_parts_because
    assert "one pool" in framework.one_cut_because
