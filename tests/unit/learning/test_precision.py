"""bfloat16: passes as PyTorch's autocast makes them, everything else in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gapslsim.frameworks.framework import frameworks
from gapslsim.kernels import Precision
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build
from gapslsim.models.zoo.cnn import Cnn
from tests.support import Stage, small_setup, stage

IMAGES: dict[str, Any] = {"input_shape": (3, 8, 8), "itemsize": 4, "batch_size": 4}


def cnn(precision: Precision, **settings: Any) -> LearningSetup:
    model = Cnn(**{"channels": (4, 6), "cut": 1, "norm": "group"} | settings)
    return replace(small_setup(3, model=model, **IMAGES), precision=precision)


def trained(setup: LearningSetup, kind: str, n_rounds: int = 3) -> Stage:
    return stage(setup).run(frameworks[kind](), n_rounds)


def autocast_loop(setup: LearningSetup, n_steps: int) -> tuple[list[float], list[nn.Module]]:
    """PSL with SGD (0.1, momentum 0.9) as a plain loop under `torch.autocast`: the server takes all samples at once."""
    modules = [build(setup.model, (3, 8, 8), setup.data.n_classes, setup.seed) for _ in range(3)]
    clients, server = [m.client for m in modules], modules[0].server
    optimizers = [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in (*clients, server)]
    losses = []
    for step in range(n_steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        batches = [setup.batches.indices(client, step) for client in range(3)]
        inputs = [torch.from_numpy(setup.data.train.inputs[chosen]) for chosen in batches]
        labels = torch.from_numpy(setup.data.train.labels[np.concatenate(batches)])
        with torch.autocast("cpu", torch.bfloat16):
            # Images lie channels last, as in the engine: other layouts round otherwise.
            smashed = [
                module(given.contiguous(memory_format=torch.channels_last))
                for module, given in zip(clients, inputs, strict=True)
            ]
            each = F.cross_entropy(server(torch.cat(smashed)), labels, reduction="none").view(3, -1).mean(1)
        each.sum().backward()
        losses += each.tolist()
        for parameter in server.parameters():
            assert parameter.grad is not None
            parameter.grad /= 3
        for optimizer in optimizers:
            optimizer.step()
    return losses, [*clients, server]


def test_training_in_bfloat16_is_a_plain_autocast_loop_with_float32_weights() -> None:
    setup = cnn("bfloat16")
    made = trained(setup, "psl")
    losses, modules = autocast_loop(setup, 3)
    assert [row.loss for row in made.learner.observed.losses] == pytest.approx(losses, abs=2e-5)
    states = [*(made.learner.client_state(c) for c in range(3)), made.learner.server_state]
    for state, module in zip(states, modules, strict=True):
        for ours, theirs in zip(state.value.parameters, module.parameters(), strict=True):
            assert ours.dtype is torch.float32
            np.testing.assert_allclose(ours, theirs.detach(), atol=2e-4)
    in_float32 = [row.loss for row in trained(cnn("float32"), "psl").learner.observed.losses]
    assert np.abs(np.subtract(in_float32, losses)).max() > 5e-4  # what the tolerances tell apart


def test_precision_is_in_the_key_and_float32_leaves_it_as_it_was() -> None:
    keys = {precision: cnn(precision).key for precision in ("float32", "tf32", "bfloat16")}
    assert len(set(keys.values())) == 3
    model = Cnn(channels=(4, 6), cut=1, norm="group")
    assert keys["float32"] == small_setup(3, model=model, **IMAGES).key


@pytest.mark.parametrize("kind", ["gapsl", "epsl", "sfl", "fedavg", "sl"])
def test_every_way_of_training_takes_bfloat16_and_what_it_sends_is_float32(kind: str) -> None:
    made = trained(cnn("bfloat16"), kind, 2)
    made.learner.evaluate(("global", "clients", "ensemble", "local"))
    rows, plain = made.learner.observed.losses, trained(cnn("float32"), kind, 2).learner.observed.losses
    assert 0 < max(abs(a.loss - b.loss) for a, b in zip(rows, plain, strict=True)) < 0.1
    assert made.recorder.timeline_sha256() == trained(cnn("float32"), kind, 2).recorder.timeline_sha256()


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_what_an_operation_gives_in_bfloat16_does_not_depend_on_others_beside_it(norm: str) -> None:
    setup = cnn("bfloat16", norm=norm)
    together, alone = stage(setup), stage(setup)
    assert alone.engine is not None
    alone.engine.stacks_clients = alone.engine.in_waves = False
    for made in (together, alone):
        made.run(frameworks["gapsl"](), 3)
    assert together.learner.observed.losses == alone.learner.observed.losses
