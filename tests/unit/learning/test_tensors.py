"""Sides of the model as pure functions: layers called with tensors of a state, dropout, batch norm, layout."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gapslsim.learning.layer_chain import LayerChain
from gapslsim.learning.messages import Weights
from gapslsim.learning.tensors import Side, flatten, mean_weights, unflatten
from gapslsim.models.model import Model, models
from gapslsim.models.split import build
from tests.support import sgd

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


def dropping() -> Side:
    torch.manual_seed(0)
    return Side(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)), sgd(), None)


def test_dropout_depends_on_the_seed_of_the_operation_alone() -> None:
    side, inputs = dropping(), torch.randn(7, 6)
    state = side.initial()
    first = side.forward(state, inputs, seed=5).output
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    assert torch.equal(side.forward(state, inputs, seed=5).output, first)
    assert torch.equal(torch.random.get_rng_state(), before)  # the global stream is left as it was
    assert not torch.equal(side.forward(state, inputs, seed=6).output, first)
    assert torch.equal(side.predict(state, inputs), side.predict(state, inputs))


def test_dropout_in_threads_is_that_of_one_thread() -> None:
    side, inputs = dropping(), torch.randn(7, 6)
    state = side.initial()
    expected = [side.forward(state, inputs, seed).output for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: side.forward(state, inputs, seed).output, range(20)))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_batch_norm_in_threads_keeps_each_passes_own_statistics() -> None:
    side = Side(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), sgd(), None)
    state = side.initial()
    inputs = [torch.full((3, 1, 5, 5), float(k)) + torch.randn(3, 1, 5, 5) for k in range(12)]
    expected = [side.forward(state, x, 0).buffers for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: side.forward(state, x, 0).buffers, inputs))
    for left, right in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
    assert torch.equal(state.buffers[0], torch.zeros(2))


def test_batch_norm_uses_batch_statistics_in_training_and_running_ones_in_prediction() -> None:
    side = Side(nn.Sequential(nn.BatchNorm1d(1)).double(), sgd(), None)
    state = side.initial()
    inputs = torch.tensor([[1.0], [3.0]], dtype=torch.float64)  # mean 2, variance 1 (population), 2 (sample)
    tape = side.forward(state, inputs, 0)
    torch.testing.assert_close(
        tape.output.detach(), torch.tensor([[-1.0], [1.0]]).double(), atol=1e-5, rtol=0
    )
    mean, variance, count = tape.buffers
    assert (float(mean), float(variance), int(count)) == pytest.approx((0.2, 0.9 + 0.1 * 2, 1))
    prediction = side.predict(Weights(state.parameters, tape.buffers), inputs)
    torch.testing.assert_close(prediction, (inputs - 0.2) / (1.1 + 1e-5) ** 0.5)


def test_unflatten_undoes_flatten_whatever_the_layout() -> None:
    tensors = (torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last), torch.randn(5))
    back = unflatten(flatten(tensors), tensors)
    assert all(torch.equal(a, b) for a, b in zip(back, tensors, strict=True))


def test_the_mean_of_weights_takes_counters_from_the_first() -> None:
    one = Weights((torch.tensor([2.0]),), (torch.tensor([1.0]), torch.tensor(3)))
    two = Weights((torch.tensor([6.0]),), (torch.tensor([5.0]), torch.tensor(9)))
    mean = mean_weights([one, two], [0.25, 0.75])
    assert mean.parameters[0].tolist() == [5.0]
    assert (mean.buffers[0].tolist(), int(mean.buffers[1])) == ([4.0], 3)
