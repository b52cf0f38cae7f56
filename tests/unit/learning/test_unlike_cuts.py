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
from gapslsim.learning.engines import engine_for
from gapslsim.learning.memory_options import Ways
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

    def average(self, clients: Sequence[int], joined: bool = False) -> None:
        """Each block's mean over those of the clients that have it; the server's copy counts for the others."""
        for place in range(max(self.cuts)):
            having = [self.clients[client][place] for client in clients if self.cuts[client] > place]
            counts = [1.0] * len(having)
            if joined and len(having) < len(clients):
                having, counts = [*having, self.server[place]], [*counts, len(clients) - len(having)]
            for tensors in zip(*([*block.parameters(), *block.buffers()] for block in having), strict=True):
                if tensors[0].is_floating_point():
                    mean = sum(n * t.detach() for n, t in zip(counts, tensors, strict=True)) / sum(counts)
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
            if a.is_floating_point():  # Batch norm's count of batches is that of whom the mean took first.
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


def test_the_copy_of_the_server_may_take_part_in_the_mean() -> None:
    setup = setup_with()
    plain = PlainLoop(setup)
    for _ in range(10):
        plain.round(range(len(CUTS)), everyone)
        plain.average(range(len(CUTS)), joined=True)
    world = trained(setup, "sfl", client_sync={"kind": "average", "server_blocks": "joined"})
    plain.assert_is(world)
    copied = [s for s in world.recorder.spans if s.phase == "model_relay_up"]
    # Blocks 1 and 2: convolutions from 4 to 4 and from 4 to 8 channels with scale and shift; mean, variance, a count.
    n = (4 * 4 * 9 + 4 + 2 * 4) + (4 * 8 * 9 + 8 + 2 * 8)
    assert {span.size_bytes for span in copied} == {8 * n + 4 * 2 * (4 + 8) + 8 * 2}


def test_the_mean_of_all_copies_is_the_same_whoever_holds_them() -> None:
    setup = setup_with()
    world = trained(setup, "sfl", 2, client_sync={"kind": "average", "server_blocks": "joined"})
    models = [world.learner._whole(client).value.parameters for client in range(len(CUTS))]
    for others in models[1:]:
        for a, b in zip(models[0], others, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


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


def test_gapsl_may_compare_whole_rows_with_zeros_where_a_client_has_a_block_itself() -> None:
    setup = setup_with((1, 3), client=sgd(0.05), server=sgd(0.05))
    before = stage(setup).learner
    learner = trained(setup, "gapsl", 1, compare="own", admission="all", k_min=1.0, k_max=1.0).learner
    plain = trained(setup, "psl", 1).learner
    states = [one.server_state.value.parameters for one in (before, learner, plain)]
    n_first = len(list(setup.model.blocks((1, 8, 8), 3)[1][1].parameters()))
    for place, (old, own, mean) in enumerate(zip(*states, strict=True)):
        # Of two rows one is zero where client 1 has the block: the rule's mean over both is half of that over one.
        scale = 0.5 if place < 2 * n_first else 1.0
        torch.testing.assert_close(own - old, scale * (mean - old), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["gapsl", "buffered_sl"])
def test_rows_in_the_memory_of_the_host_change_no_bit(kind: str) -> None:
    setup = setup_with()
    states = []
    for ways in (Ways(), Ways(rows_on_host=True)):
        world = stage(setup)
        world.learner._operations._engine = engine_for(setup, torch.device("cpu"), torch.float64, ways=ways)
        states.append(world.run(frameworks[kind](), 4).learner.server_state.value)
    for a, b in zip(states[0].parameters, states[1].parameters, strict=True):
        assert torch.equal(a, b)


def test_weights_of_staleness_count_in_the_mean_of_each_block() -> None:
    setup = setup_with((1, 3, 2), client=sgd(0.05), server=sgd(0.05))
    moved = []
    for weights in (None, {0: 0.5}, {0: 0.5, 1: 0.5, 2: 0.5}):
        world = stage(setup)
        old = world.learner.server_state.value.parameters
        smashed = [world.learner.client_forward(client).carry_out() for client in range(3)]
        psl = frameworks["psl"]()
        world.learner.server_step(smashed, psl.server_rule, psl.cut_rule, weights=weights).carry_out()
        new = world.learner.server_state.value.parameters
        moved.append([b - a for a, b in zip(old, new, strict=True)])
    for whole_mean, _, all_half in zip(*moved, strict=True):
        torch.testing.assert_close(all_half, whole_mean / 2, rtol=0, atol=1e-12)
    # The block after the first cut is that of client 0 alone.
    torch.testing.assert_close(moved[1][0], moved[0][0] / 2, rtol=0, atol=1e-12)
