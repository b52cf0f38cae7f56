"""Layers that show their shapes without PyTorch's shape functions keep what PyTorch's own keep."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from gapslsim.models.layer_types import show_shapes_alone


def kept(layer: nn.Module, inputs: Tensor) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Shapes of the tensors kept for the backward pass that are no parameters, and of the output."""
    seen: list[tuple[int, ...]] = []
    own = {parameter.untyped_storage()._cdata for parameter in layer.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in own:
            seen.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = layer(inputs)
    return sorted(seen), tuple(output.shape)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize(
    "make",
    [nn.ReLU, lambda: nn.Linear(6, 3), lambda: nn.Linear(6, 3, bias=False), lambda: nn.GroupNorm(2, 4)],
)
def test_shapes_and_what_is_kept_are_those_of_pytorch(make: type[nn.Module], batch: int) -> None:
    layer = make()
    shape = (batch, 6) if isinstance(layer, nn.Linear) else (batch, 4, 3, 3)
    real = kept(layer, torch.randn(shape, requires_grad=True))
    with torch.device("meta"):
        shown = make()
        show_shapes_alone(shown)
        assert kept(shown, torch.empty(shape, requires_grad=True)) == real


def test_a_linear_layer_refuses_inputs_of_another_width() -> None:
    with torch.device("meta"):
        layer = nn.Linear(6, 3)
        show_shapes_alone(layer)
        with pytest.raises(ValueError, match="takes 6 features, found 5"):
            layer(torch.empty(2, 5))


def test_the_cost_of_a_small_network_is_had_without_pytorchs_compiler() -> None:
    script = """
import sys
from gapslsim.models.cost import split_cost
from gapslsim.models.zoo.cnn import Cnn
split_cost(Cnn(channels=(8, 16), norm="group", cut=1), (3, 16, 16), 10, 32)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
