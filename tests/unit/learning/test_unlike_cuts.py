"""Clients that are cut unlike, against plain PyTorch, weight by weight (float64)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.optimizers.adam import Adam
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.segments import two_parts
from gapslsim.models.split import whole
from gapslsim.models.zoo.cnn import Cnn
from tests.support import Stage, sgd, small_setup, stage
from tests.unit.learning.reference_equations import Round, gapsl_round

CUTS = (1, 3, 2, 1)
LAMBDA = 5e-4


def setup_with(cuts: Sequence[int] = CUTS, **settings: Any) -> LearningSetup:
    setup = small_setup(
        len(cuts),
        n_train=60,
        batch_size=5,
        input_shape=(1, 8, 8),
        model=Cnn(channels=(4, 4, 8), norm="batch", classifier=(6,)),
        **{
            "client": sgd(0.05, momentum=0.9, weight_decay=0.01),
            "server": sgd(0.05, momentum=0.9, weight_decay=0.02),
        }
        | settings,
    )
    return replace(setup, segments=two_parts(cuts, 5))


def trained(setup: LearningSetup, kind: str, rounds: int = 10, **settings: Any) -> Stage:
    return stage(setup).run(frameworks[kind](**settings), rounds)


class PlainLoop:
    """Clients and server as lists of modules, one per block; gradients by `autograd`, steps by `torch.optim`."""

    def __init__(
        self, setup: LearningSetup, optimizer: Callable[..., Any] = torch.optim.SGD, **how: Any
    ) -> None:
        net = whole(setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed).double()
        assert setup.segments is not None
        self.cuts = [setup.segments.cut(client) for client in range(setup.n_clients)]
        self.clients = [deepcopy(list(net[:cut])) for cut in self.cuts]
        self.server = deepcopy(list(net))  # Those before the least cut are never used.
        how = how or {"lr": 0.05, "momentum": 0.9}
        decays = (
            ({}, {}) if optimizer is not torch.optim.SGD else ({"weight_decay": 0.01}, {"weight_decay": 0.02})
        )
        self.steps = [optimizer(parameters(own), **how, **decays[0]) for own in self.clients]
        self.server_step = optimizer(parameters(self.server), **how, **decays[1])
        self.setup = setup
        self.inputs = torch.from_numpy(setup.data.train.inputs).double()
        self.labels = torch.from_numpy(setup.data.train.labels)
        self.taken = [0] * setup.n_clients

    def round(
        self, clients: Sequence[int], admits: Callable[[dict[int, Tensor], dict[int, float]], list[int]]
    ) -> None:
        """A round of some clients, of which the rule admits some: those train, and count on the server."""
        losses: dict[int, Tensor] = {}
        of_server: dict[int, list[list[Tensor]]] = {}
        before = {client: [deepcopy(block) for block in self.clients[client]] for client in clients}
        for client in clients:
            index = torch.from_numpy(self.setup.batches.indices(client, self.taken[client]))
            self.taken[client] += 1
            value = self.inputs[index]
            path = [*self.clients[client], *self.server[self.cuts[client] :]]
            for block in path:
                value = block(value)
            losses[client] = F.cross_entropy(value, self.labels[index])
            found = torch.autograd.grad(losses[client], parameters(path), retain_graph=False)
            taken = iter(found)
            gradients = [[next(taken) for _ in block.parameters()] for block in path]
            for block, own in zip(self.clients[client], gradients, strict=False):
                for parameter, gradient in zip(block.parameters(), own, strict=True):
                    parameter.grad = gradient
            of_server[client] = gradients
        shared = max(self.cuts)
        rows = {c: torch.cat([g.flatten() for own in of_server[c][shared:] for g in own]) for c in clients}
        admitted = admits(rows, {c: float(loss.detach()) for c, loss in losses.items()})
        for place, block in enumerate(self.server):
            having = [client for client in admitted if self.cuts[client] <= place]
            for i, parameter in enumerate(block.parameters()):
                parameter.grad = None
                if having:
                    parameter.grad = torch.stack([of_server[client][place][i] for client in having]).mean(0)
        self.server_step.step()
        for client in admitted:
            self.steps[client].step()
        for client in set(clients) - set(admitted):  # Frozen: their statistics stay, too.
            for block, old in zip(self.clients[client], before[client], strict=True):
                block.load_state_dict(old.state_dict())

    def average(self, clients: Sequence[int]) -> None:
        """Each block's mean over those of the clients that have it."""
        for place in range(max(self.cuts)):
            having = [self.clients[client][place] for client in clients if self.cuts[client] > place]
            for tensors in zip(*([*block.parameters(), *block.buffers()] for block in having), strict=True):
                if tensors[0].is_floating_point():
                    mean = torch.stack([t.detach() for t in tensors]).mean(0)
                    for tensor in tensors:
                        tensor.data.copy_(mean)

    def assert_is(self, world: Stage, within: float = 1e-10) -> None:
        """Every weight and running statistic, on clients and server."""
        least = min(self.cuts)
        for client, own in enumerate(self.clients):
            assert_same(world.learner.client_state(client).value, own, within)
        assert_same(world.learner.server_state.value, self.server[least:], within)


def parameters(blocks: Sequence[nn.Module]) -> list[Tensor]:
    return [parameter for block in blocks for parameter in block.parameters()]


def assert_same(state: Any, blocks: Sequence[nn.Module], within: float) -> None:
    theirs = parameters(blocks), [buffer for block in blocks for buffer in block.buffers()]
    for ours, plain in zip((state.parameters, state.buffers), theirs, strict=True):
        for a, b in zip(ours, plain, strict=True):
            torch.testing.assert_close(a, b.detach(), rtol=0, atol=within)


def everyone(rows: dict[int, Tensor], losses: dict[int, float]) -> list[int]:
    return list(rows)


@pytest.mark.parametrize("cuts", [CUTS, (3, 1), (4, 4, 1), (1, 2, 3, 4)])
def test_psl_is_the_plain_loop(cuts: tuple[int, ...]) -> None:
    setup = setup_with(cuts)
    plain = PlainLoop(setup)
    for _ in range(10):
        plain.round(range(len(cuts)), everyone)
    plain.assert_is(trained(setup, "psl"))


def test_psl_with_adam_is_the_plain_loop() -> None:
    setup = setup_with(client=Adam(lr=0.003), server=Adam(lr=0.003))
    plain = PlainLoop(setup, torch.optim.Adam, lr=0.003)
    for _ in range(10):
        plain.round(range(len(CUTS)), everyone)
    plain.assert_is(trained(setup, "psl"))


def test_sfl_is_the_plain_loop_with_each_block_averaged_over_those_who_have_it() -> None:
    setup = setup_with()
    plain = PlainLoop(setup)
    for _ in range(10):
        plain.round(range(len(CUTS)), everyone)
        plain.average(range(len(CUTS)))
    plain.assert_is(trained(setup, "sfl"))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_block_that_nobody_of_a_step_goes_through_takes_no_step(optimizer: str) -> None:
    adam = {"client": Adam(lr=0.003), "server": Adam(lr=0.003)} if optimizer == "adam" else {}
    setup = setup_with(**adam)
    world = trained(setup, "psl", participation={"kind": "sample", "k": 2})
    plain = PlainLoop(setup, torch.optim.Adam, lr=0.003) if adam else PlainLoop(setup)
    took = world.learner.observed.losses
    for round in range(1, 11):
        plain.round([row.client for row in took if row.round == round], everyone)
    assert any({row.client for row in took if row.round == r} <= {1, 2} for r in range(1, 11))
    plain.assert_is(world)


def test_gapsl_compares_what_all_share_and_the_rest_is_the_mean_over_the_admitted() -> None:
    setup = setup_with()
    world = trained(setup, "gapsl", eta=0.5)
    plain, made = PlainLoop(setup), list[Round]()

    def admits(rows: dict[int, Tensor], losses: dict[int, float]) -> list[int]:
        extremes = made[-1].extremes if made else None
        matrix = torch.stack(list(rows.values())).numpy()
        one = gapsl_round(
            matrix, np.array(list(losses.values())), len(made) + 1, 10, extremes, 0.2, 0.8, 0.5, LAMBDA
        )
        made.append(one)
        return one.admitted

    for _ in range(10):
        plain.round(range(len(CUTS)), admits)
    plain.assert_is(world)
    assert {len(one.admitted) for one in made} != {len(CUTS)}
