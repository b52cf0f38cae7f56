"""Linear layers, ReLU and group norm on the meta device, where PyTorch's own load its compiler: more than a second.

They give outputs of the right shape and keep for the backward pass what PyTorch's keep, so that costs and memory are
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["group_norm", "is_shown", "linear", "relu"]

_Kept = Callable[[Tensor], tuple[Tensor, ...]]
"""From the output to what is kept for the backward pass."""


def relu(layer: nn.ReLU, inputs: Float[Tensor, "*given"]) -> Float[Tensor, "*given"]:
    """An output of the shape of the inputs; it is kept."""
    # What PyTorch's own ReLU keeps; keeping the input would count one more tensor per layer.
    return _shown(lambda output: (output,), inputs.shape, inputs)


def linear(
    layer: nn.Linear, inputs: Float[Tensor, "*given n_in"]
) -> Float[Tensor, "*given {layer.out_features}"]:
    """One output per row of the weights; inputs and weights are kept.

    Raises:
        ValueError: if the inputs are of another width.
    """
    if inputs.shape[-1] != layer.in_features:
        raise ValueError(f"a linear layer takes {layer.in_features} features, found {inputs.shape[-1]}.")
    shape = (*inputs.shape[:-1], layer.out_features)
    return _shown(lambda output: (inputs, layer.weight), shape, inputs, layer.weight, layer.bias)


def group_norm(layer: nn.GroupNorm, inputs: Float[Tensor, "*given"]) -> Float[Tensor, "*given"]:
    """An output of the shape of the inputs; these, the weights, and mean and deviation by sample and group are kept."""
    mean, deviation = (inputs.new_empty(len(inputs), layer.num_groups) for _ in range(2))
    kept = (inputs, layer.weight, mean, deviation)
    return _shown(lambda output: kept, inputs.shape, inputs, layer.weight, layer.bias)


def _shown(kept: _Kept, shape: Sequence[int], *tensors: Tensor | None) -> Tensor:
    """An output of this shape that follows from tensors, with what is kept of them and of itself."""
    output: Tensor = _Shown.apply(kept, shape, *tensors)
    return output


def is_shown(node: object) -> bool:
    """Whether a node of autograd is one of this file's."""
    return type(node).__name__ == f"{_Shown.__name__}Backward"


class _Shown(torch.autograd.Function):
    """Shapes of an output and of the gradients of what it follows from."""

    @staticmethod
    def forward(
        ctx: Any, kept: _Kept, shape: Sequence[int], inputs: Tensor, *others: Tensor | None
    ) -> Tensor:
        output = inputs.new_empty(*shape)
        ctx.save_for_backward(*kept(output))
        ctx.tensors = (inputs, *others)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, None, *(None if tensor is None else torch.empty_like(tensor) for tensor in ctx.tensors)
