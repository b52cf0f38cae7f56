"""Linear layers, ReLU and group norm on the meta device, where PyTorch's own load its compiler: more than a second.

They give outputs of the right shape and keep for the backward pass what PyTorch's keep, so that costs and memory are
the same.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["group_norm", "linear", "relu"]


def relu(layer: nn.ReLU, inputs: Float[Tensor, "*given"]) -> Float[Tensor, "*given"]:
    """An output of the shape of the inputs; it is kept."""
    output: Tensor = _Relu.apply(inputs)
    return output


def linear(
    layer: nn.Linear, inputs: Float[Tensor, "*given n_in"]
) -> Float[Tensor, "*given {layer.out_features}"]:
    """One output per row of the weights; inputs and weights are kept.

    Raises:
        ValueError: if the inputs are of another width.
    """
    if inputs.shape[-1] != layer.in_features:
        raise ValueError(f"a linear layer takes {layer.in_features} features, found {inputs.shape[-1]}.")
    output: Tensor = _Linear.apply(inputs, layer.weight, layer.bias)
    return output


def group_norm(layer: nn.GroupNorm, inputs: Float[Tensor, "*given"]) -> Float[Tensor, "*given"]:
    """An output of the shape of the inputs."""
    output: Tensor = _GroupNorm.apply(inputs, layer.weight, layer.bias, layer.num_groups)
    return output


class _Relu(torch.autograd.Function):
    """Keeps its output."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        """An output of the shape of the inputs."""
        output = torch.empty_like(inputs)
        # What PyTorch's own ReLU keeps; keeping the input would count one more tensor per layer.
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The shape of the gradient."""
        return torch.empty_like(gradients[0])


class _Linear(torch.autograd.Function):
    """Keeps inputs and weights."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One output per row of the weights."""
        ctx.save_for_backward(inputs, weight)
        return inputs.new_empty(*inputs.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Shapes of the gradients."""
        inputs, weight = ctx.saved_tensors
        return torch.empty_like(inputs), torch.empty_like(weight), weight.new_empty(len(weight))


class _GroupNorm(torch.autograd.Function):
    """Keeps inputs, weights, and a mean and a deviation per sample and group."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, n_groups: int
    ) -> Tensor:
        """An output of the shape of the inputs."""
        mean, deviation = (inputs.new_empty(len(inputs), n_groups) for _ in range(2))
        ctx.save_for_backward(inputs, weight, mean, deviation)
        return torch.empty_like(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Shapes of the gradients."""
        inputs, weight, _, _ = ctx.saved_tensors
        of_weight = None if weight is None else torch.empty_like(weight)
        return torch.empty_like(inputs), of_weight, of_weight, None
