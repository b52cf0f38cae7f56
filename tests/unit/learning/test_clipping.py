"""Gradient clipping: that of PyTorch, on either side, with its cost."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gapslsim import ScenarioError, load_dict, simulate
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.optimizer import optimizers
from gapslsim.models.split import build
from tests.support import sgd, small_setup, stage
from tests.unit.learning.test_losses import batch
from tests.worlds import small_scenario

EACH = pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])


@EACH
@pytest.mark.parametrize("clip_norm", [0.01, 1.0, 1e6])
def test_clipped_gradients_are_those_of_pytorch(optimizer: str, clip_norm: float) -> None:
    gradients = (torch.randn(4, 3, dtype=torch.float64), torch.randn(7, dtype=torch.float64))
    before = [gradient.clone() for gradient in gradients]
    parameters = [nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, before, strict=True):
        parameter.grad = gradient.clone()
    nn.utils.clip_grad_norm_(parameters, clip_norm)
    clipped = optimizers[optimizer](lr=0.1, clip_norm=clip_norm).clipped(gradients)
    for ours, parameter, given, kept in zip(clipped, parameters, gradients, before, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(ours, parameter.grad, rtol=0, atol=1e-14)
        assert torch.equal(given, kept)


def test_a_gradient_of_length_0_and_a_side_without_parameters_are_clipped_to_themselves() -> None:
    optimizer = sgd(clip_norm=1.0)
    (zero,) = optimizer.clipped((torch.zeros(3),))
    assert torch.equal(zero, torch.zeros(3))
    assert optimizer.clipped(()) == ()


def test_both_sides_are_clipped_as_in_a_plain_loop() -> None:
    setup = small_setup(3, client=sgd(0.1, momentum=0.9, clip_norm=0.05), server=sgd(0.1, clip_norm=0.2))
    made = stage(setup, rates=(1.0,) * 3)
    made.run(frameworks["psl"](), 5)
    modules = [build(setup.model, (6,), 3, setup.seed) for _ in range(3)]
    clients, server = [m.client.double() for m in modules], modules[0].server.double()
    optimizers_ = [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in clients]
    optimizers_.append(torch.optim.SGD(server.parameters(), 0.1))
    n_clipped = 0
    for step in range(5):
        for optimizer in optimizers_:
            optimizer.zero_grad()
        for client, module in enumerate(clients):
            inputs, labels = batch(setup, client, step)
            nn.CrossEntropyLoss()(server(module(inputs)), labels).backward()
            n_clipped += bool(nn.utils.clip_grad_norm_(module.parameters(), 0.05) > 0.05)
        for parameter in server.parameters():
            assert parameter.grad is not None
            parameter.grad /= 3
        n_clipped += bool(nn.utils.clip_grad_norm_(server.parameters(), 0.2) > 0.2)
        for optimizer in optimizers_:
            optimizer.step()
    assert n_clipped > 5
    for state, module in [
        *((made.learner.client_state(c), clients[c]) for c in range(3)),
        (made.learner.server_state, server),
    ]:
        for ours, theirs in zip(state.value.parameters, module.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-12)


def test_federated_averaging_clips_the_gradient_of_the_whole_model() -> None:
    setup = small_setup(1, client=sgd(0.1, momentum=0.9, clip_norm=0.1))
    made = stage(setup, rates=(1.0,))
    made.run(frameworks["fedavg"](local_steps=4), 1)
    sides = build(setup.model, (6,), 3, setup.seed)
    whole = nn.Sequential(sides.client, sides.server).double()
    optimizer = torch.optim.SGD(whole.parameters(), 0.1, 0.9)
    for step in range(4):
        inputs, labels = batch(setup, 0, step)
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(whole(inputs), labels).backward()
        assert nn.utils.clip_grad_norm_(whole.parameters(), 0.1) > 0.1
        optimizer.step()
    states = (made.learner.client_state(0), made.learner.server_state)
    ours = [parameter for state in states for parameter in state.value.parameters]
    for own, theirs in zip(ours, whole.parameters(), strict=True):
        torch.testing.assert_close(own, theirs.detach(), rtol=0, atol=1e-12)


@EACH
def test_clipping_costs_three_flop_and_three_passes_over_memory_per_parameter(optimizer: str) -> None:
    plain, clipping = (optimizers[optimizer](lr=0.1, **given) for given in ({}, {"clip_norm": 1.0}))
    without, with_it = plain.cost_with_clipping(1000), clipping.cost_with_clipping(1000)
    assert with_it.work_flop - without.work_flop == 3000
    assert with_it.moved_bytes - without.moved_bytes == 12000
    assert without.work_flop == plain.cost(1000).work_flop


def training(**client: Any) -> dict[str, Any]:
    return {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05, **client}}


def test_a_run_with_clipping_takes_longer_and_learns_otherwise() -> None:
    plain, clipped = (
        simulate(load_dict(small_scenario(training=training(**given)))) for given in ({}, {"clip_norm": 0.01})
    )
    assert clipped.summary["simulated_time_s"] > plain.summary["simulated_time_s"]
    assert clipped.summary["learning_sha256"] != plain.summary["learning_sha256"]


@pytest.mark.parametrize("clip_norm", [0, -1, "much", [1], True])
def test_a_length_that_cannot_be_is_refused_with_its_place(clip_norm: Any) -> None:
    with pytest.raises(ScenarioError, match=r"training\.client\.clip_norm"):
        load_dict(small_scenario(training=training(clip_norm=clip_norm)))
