"""Passes through layers as compiled kernels, or as CUDA graphs: `training.compile`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gapslsim.kernels import Compiling

__all__ = ["compiled"]

_Call = Callable[..., Tensor]


def compiled(call: _Call, how: Compiling) -> _Call:
    """The same call of (parameters, ..., inputs, ...) as one that PyTorch compiles for each shape that it meets.

    Shapes are static: batches of one size are one kernel each, and those of another size are compiled anew.

    Args:
        call: a pass through layers; its first argument are their parameters.
        how: by `torch.compile`, with CUDA graphs besides, or not at all.
    """
    if how == "none":
        return call
    if how == "compile":
        return torch.compile(call, dynamic=False)
    graphs = torch.compile(call, dynamic=False, mode="reduce-overhead")

    def apart(parameters: Sequence[Tensor], *rest: Any, **flags: Any) -> Tensor:
        # A graph writes to the same memory in every run: what leaves it, either way, is copied.
        own = [_Apart.apply(parameter) for parameter in parameters]
        given = (_Apart.apply(one) if isinstance(one, Tensor) else one for one in rest)
        return graphs(own, *given, **flags).clone()

    return apart


class _Apart(torch.autograd.Function):
    """Nothing, but that the gradient which comes back is a copy."""

    @staticmethod
    def forward(ctx: Any, given: Tensor) -> Tensor:
        return given.detach()  # with its strides, by which kernels are chosen

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.clone()
