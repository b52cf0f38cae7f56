"""Steps of several models in one call are those of each model, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gapslsim.learning import _updates
from gapslsim.learning._updates import Step, update_all
from gapslsim.learning.optimizer import Optimizer, optimizers
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side


def _side(optimizer: Optimizer) -> Side:
    torch.manual_seed(0)
    return Side(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), optimizer, None)


def _gradients(seed: int, state: SideState) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(p.shape, generator=random) for p in state.parameters)


SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.1},
    "sgd with momentum": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    "adam": {"lr": 0.1},
    "adamw, clipped": {"lr": 0.1, "clip_norm": 0.5},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_model_steps_as_if_it_were_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    side = _side(optimizers[name.split()[0].rstrip(",")](**SETTINGS[name]))
    start = side.initial()
    # Two that have stepped once and one that has not: its count, and its bias corrections, are others.
    states = [
        side.update(start, _gradients(1, start), ()),
        side.update(start, _gradients(2, start), ()),
        start,
    ]
    steps = [Step(side, state, _gradients(10 + i, state), ()) for i, state in enumerate(states)]
    calls: list[int] = []
    monkeypatch.setattr(
        _updates, "_update", lambda of, real=_updates._update: (calls.append(len(of)), real(of))[1]
    )
    together = update_all(steps)
    assert sorted(calls) == [1, 2]
    for step, found in zip(steps, together, strict=True):
        alone = side.update(*step[1:])
        assert found.n_updates == alone.n_updates
        tensors = [(found.parameters, alone.parameters)]
        tensors += [(found.optimizer[slot], alone.optimizer[slot]) for slot in alone.optimizer]
        for these, those in tensors:
            assert len(these) == len(those)
            assert all(torch.equal(a, b) for a, b in zip(these, those, strict=True))


def test_an_optimizer_that_does_not_say_so_takes_one_model_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = optimizers["sgd"](lr=0.1)
    monkeypatch.setattr(type(optimizer), "slots_by_parameter", None)
    side = _side(optimizer)
    start = side.initial()
    seen: list[int] = []
    monkeypatch.setattr(
        _updates, "_update", lambda of, real=_updates._update: (seen.append(len(of)), real(of))[1]
    )
    update_all([Step(side, start, _gradients(i, start), ()) for i in range(3)])
    assert seen == [1, 1, 1]
