"""Frameworks that must coincide, weight by weight (float64)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import whole
from tests.support import Stage, sgd, small_setup, stage

TOLERANCE = 1e-12


def trained(setup: LearningSetup, kind: str, rounds: int, **settings: Any) -> Stage:
    framework: Framework = frameworks[kind](**settings)
    return stage(setup).run(framework, rounds)


def weights(world: Stage, client: int = 0) -> list[Tensor]:
    state, server = world.learner.client_state(client).value, world.learner.server_state.value
    return [*state.parameters, *server.parameters]


def assert_same(left: Sequence[Tensor], right: Sequence[Tensor]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=TOLERANCE)


def centralised(
    setup: LearningSetup, batches: Sequence[Sequence[int]], *, lr: float | list[float], momentum: float
) -> list[Tensor]:
    """Plain PyTorch training of the network that is not cut; one learning rate, or one per batch."""
    rates = lr if isinstance(lr, list) else [lr] * len(batches)
    net = whole(setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=rates[0], momentum=momentum)
    inputs = torch.from_numpy(setup.data.train.inputs).double()
    labels = torch.from_numpy(setup.data.train.labels)
    for batch, rate in zip(batches, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        index = torch.tensor(list(batch))
        optimizer.zero_grad()
        F.cross_entropy(net(inputs[index]), labels[index]).backward()
        optimizer.step()
    return [p.detach() for p in net.parameters()]


def batches_of(setup: LearningSetup, client: int, n: int) -> list[list[int]]:
    return [setup.batches.indices(client, step).tolist() for step in range(n)]


@pytest.mark.parametrize("kind", ["psl", "sl", "sfl", "epsl", "gapsl"])
def test_one_client_is_centralised_sgd(kind: str) -> None:
    setup = small_setup(1)
    settings = {"phi": 1.0} if kind == "epsl" else {}
    world = trained(setup, kind, 6, **settings)
    assert_same(weights(world), centralised(setup, batches_of(setup, 0, 6), lr=0.1, momentum=0.9))


def test_training_moves_the_weights() -> None:
    setup = small_setup(1)
    before = weights(stage(setup))
    after = weights(trained(setup, "psl", 6))
    assert all(not torch.allclose(a, b, atol=1e-3) for a, b in zip(before, after, strict=True))


def test_fedavg_with_one_client_is_local_sgd_with_a_fresh_optimizer_in_every_round() -> None:
    setup = small_setup(1, client=sgd(0.1), server=sgd(0.1))
    world = trained(setup, "fedavg", 2, local_steps=3)
    assert_same(weights(world), centralised(setup, batches_of(setup, 0, 6), lr=0.1, momentum=0.0))
    with_momentum = small_setup(1)
    one_round = trained(with_momentum, "fedavg", 1, local_steps=6)
    assert_same(
        weights(one_round), centralised(with_momentum, batches_of(with_momentum, 0, 6), lr=0.1, momentum=0.9)
    )


@pytest.mark.parametrize("kind", ["fedavg", "sl", "psl"])
def test_a_learning_rate_schedule_goes_on_from_round_to_round(kind: str) -> None:
    from gapslsim.learning.schedules.step import StepSchedule

    rate = sgd(0.1, schedule=StepSchedule(every=3, gamma=0.1))
    setup = small_setup(1, client=rate, server=rate)
    settings = {"fedavg": {"local_steps": 2}, "sl": {"local_steps": 2}, "psl": {}}[kind]
    world = trained(setup, kind, 6 if kind == "psl" else 3, **settings)
    first = small_setup(1, client=sgd(0.1), server=sgd(0.1))
    batches = batches_of(setup, 0, 6)
    assert_same(weights(world), centralised(first, batches, lr=[0.1] * 3 + [0.01] * 3, momentum=0.0))


def test_sfl_averaging_every_round_is_centralised_sgd_on_the_joined_batch() -> None:
    setup = small_setup(4, client=sgd(0.1), server=sgd(0.1))
    world = trained(setup, "sfl", 5)
    joined = [
        [index for client in range(4) for index in setup.batches.indices(client, step)] for step in range(5)
    ]
    for client in range(4):
        assert_same(weights(world, client), centralised(setup, joined, lr=0.1, momentum=0.0))


def test_fedavg_of_one_local_step_is_centralised_sgd_on_the_joined_batch() -> None:
    setup = small_setup(4, client=sgd(0.1))
    world = trained(setup, "fedavg", 5, local_steps=1)
    joined = [
        [index for client in range(4) for index in setup.batches.indices(client, step)] for step in range(5)
    ]
    assert_same(weights(world), centralised(setup, joined, lr=0.1, momentum=0.0))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("epsl", {"phi": 0.0}),
        ("parallel", {}),
        ("gapsl", {"k_min": 1.0, "k_max": 1.0, "lambda": 0.0, "admission": "all"}),
        ("gapsl", {"k_min": 1.0, "k_max": 1.0, "lambda": 0.0, "admission": "all", "gradient": "exact"}),
        ("gapsl", {"k_min": 1.0, "k_max": 1.0, "lambda": 0.0, "admission": "all", "gradient": "steer"}),
    ],
)
def test_settings_that_switch_everything_off_are_psl(kind: str, settings: dict[str, Any]) -> None:
    setup = small_setup(4)
    left, right = trained(setup, kind, 5, **settings), trained(setup, "psl", 5)
    for client in range(4):
        assert_same(weights(left, client), weights(right, client))


def test_vanilla_sl_that_carries_its_optimizer_is_centralised_sgd_over_the_clients_in_turn() -> None:
    setup = small_setup(3)
    world = trained(setup, "sl", 2)
    in_turn = [setup.batches.indices(client, step).tolist() for step in range(2) for client in range(3)]
    assert_same(weights(world), centralised(setup, in_turn, lr=0.1, momentum=0.9))


def test_psl_clients_drift_apart_and_sfl_clients_do_not() -> None:
    setup = small_setup(3)
    psl, sfl = trained(setup, "psl", 3), trained(setup, "sfl", 3)
    assert not torch.allclose(weights(psl, 0)[0], weights(psl, 1)[0])
    assert_same(weights(sfl, 0), weights(sfl, 1))


def test_frozen_clients_keep_the_initial_weights_while_the_server_learns() -> None:
    setup = small_setup(2)
    initial, after = stage(setup), trained(setup, "psl", 3, client_update={"kind": "frozen"})
    n = len(initial.learner.client_state(0).value.parameters)
    assert_same(weights(initial)[:n], weights(after)[:n])
    assert not torch.allclose(weights(initial)[n], weights(after)[n])


def test_epsl_with_equal_batches_of_data_is_psl_for_any_phi() -> None:
    """If all clients hold the same data, averaging their last-layer gradients changes nothing."""
    import numpy as np

    setup = small_setup(3, n_train=5)
    same = LearningSetup(
        **{
            **{name: getattr(setup, name) for name in setup.__dataclass_fields__},
            "shards": [np.arange(5)] * 3,
        }
    )
    same.batches._latest.update({client: (0, np.arange(5)) for client in range(3)})
    left, right = trained(same, "epsl", 1, phi=0.6), trained(same, "psl", 1)
    for client in range(3):
        assert_same(weights(left, client), weights(right, client))
