"""A clock that stands still, and layers that move it by known times."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gapslsim.models.layers import Add
from gapslsim.models.model import Model
from gapslsim.registry import component
from gapslsim.stages.clock import Clock


class FakeClock(Clock):
    """Goes on only where a test, or a layer, moves it; `tick` seconds with each reading."""

    def __init__(self, tick: float = 0.0) -> None:
        self.seconds = 0.0
        self.tick = tick

    def now_s(self) -> float:
        self.seconds += self.tick
        return self.seconds

    def wall_s(self) -> float:
        return self.seconds


CLOCK = FakeClock()
"""The clock of the layers below."""


class _Spend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, forward_s: float, backward_s: float) -> Tensor:
        ctx.backward_s = backward_s
        CLOCK.seconds += forward_s
        return x * weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        CLOCK.seconds += ctx.backward_s
        return gradient * 1.0, gradient.sum(), None, None


class Spend(nn.Module):
    """Takes `forward_s` forward and `backward_s` backward on the fake clock."""

    def __init__(self, forward_s: float, backward_s: float) -> None:
        super().__init__()
        self.times = (forward_s, backward_s)
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _Spend.apply(x, self.weight, *self.times)
        return result


class Residual(nn.Module):
    """x + spend(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = Spend(5.0, 7.0)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.add(x, self.branch(x))
        return result


@component
class SpendingModel(Model):
    """One layer on the client; a residual, a layer and a linear head on the server."""

    cut: int = 1

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        return [
            ("first", Spend(1.0, 2.0)),
            ("residual", Residual()),
            ("last", Spend(0.5, 0.25)),
            ("head", nn.Linear(input_shape[0], n_classes)),
        ]

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        return 1
