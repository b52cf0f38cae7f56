"""Layers called with tensors from elsewhere give what the module itself gives."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gapslsim.learning.layers.chain import LayerChain
from gapslsim.models.model import Model, models
from gapslsim.models.split import build

SHAPE = (3, 16, 16)
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {"channels": (8, 8), "groups": 4},
    "cnn-batch": {"channels": (8, 8), "norm": "batch"},
    "cnn-average": {"channels": (4,), "pool": "average", "norm": "none"},
    "mlp": {"hidden": (6, 5)},
    "vgg16": {"width": 0.03125, "cut": 3, "resize": 32, "classifier": (8,)},
    "vit": {"cut": 1, "dim": 12, "heads": 2, "depth": 2, "mlp_dim": 8, "patch": 8},
}


def model(name: str) -> Model:
    made: Model = models[name.split("-")[0]](**MODELS[name])
    return made


def whole(module: nn.Module, inputs: Tensor) -> Tensor:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    result: Tensor = functional_call(module, tensors, (inputs,))
    return result


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_chain_gives_what_the_module_gives_and_the_same_gradients(name: str, training: bool) -> None:
    split = build(model(name), SHAPE, 5, seed=3)
    inputs = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    for module in (split.client, split.server):
        expected_of = copy.deepcopy(module).train(training)
        expected = whole(expected_of, inputs)
        buffers = [b.clone() for b in module.buffers()]
        parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]
        found = LayerChain(module)(parameters, buffers, inputs, training)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
        weights = torch.randn_like(expected)
        ours = torch.autograd.grad(found, parameters, weights, allow_unused=True, materialize_grads=True)
        theirs = torch.autograd.grad(
            expected, list(expected_of.parameters()), weights, allow_unused=True, materialize_grads=True
        )
        for left, right in zip(ours, theirs, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)
        for left, right in zip(buffers, expected_of.buffers(), strict=True):
            torch.testing.assert_close(left, right)
        inputs = found.detach()


def test_pooling_before_the_relu_changes_no_bit_of_values_and_gradients() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2))
    inputs = torch.randn(5, 2, 8, 8, requires_grad=True)
    inputs.data[0] = 0  # ties
    expected = module(inputs)
    found = LayerChain(module)(tuple(module.parameters()), (), inputs, training=True)
    assert torch.equal(found, expected)
    weights = torch.randn_like(expected)
    ours = torch.autograd.grad(found, (*module.parameters(), inputs), weights)
    theirs = torch.autograd.grad(expected, (*module.parameters(), inputs), weights)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_large_maps_with_channels_last_are_normalised_as_others() -> None:
    module = nn.Sequential(nn.GroupNorm(2, 4)).double()
    inputs = torch.randn(2, 4, 16, 16, dtype=torch.float64)
    last = inputs.contiguous(memory_format=torch.channels_last)
    found = LayerChain(module)(tuple(module.parameters()), (), last, training=True)
    torch.testing.assert_close(found, module(inputs), rtol=0, atol=1e-13)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_tensor_that_two_layers_share_is_taken_once() -> None:
    shared = nn.Linear(3, 3)
    module = nn.Sequential(shared, nn.Tanh(), shared)
    inputs = torch.randn(2, 3)
    found = LayerChain(module)(tuple(module.parameters()), (), inputs, training=True)
    torch.testing.assert_close(found, module(inputs))
