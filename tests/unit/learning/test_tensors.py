"""Sides of the model as pure functions: dropout, batch norm, layout, means of weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from gapslsim.learning.messages import Weights
from gapslsim.learning.tensors import Side, flatten, mean_weights, unflatten
from tests.support import sgd


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
    back = unflatten(flatten(tensors, tensors[0]), tensors)
    assert all(torch.equal(a, b) for a, b in zip(back, tensors, strict=True))


def test_the_mean_of_weights_takes_counters_from_the_first() -> None:
    one = Weights((torch.tensor([2.0]),), (torch.tensor([1.0]), torch.tensor(3)))
    two = Weights((torch.tensor([6.0]),), (torch.tensor([5.0]), torch.tensor(9)))
    mean = mean_weights([one, two], [0.25, 0.75])
    assert mean.parameters[0].tolist() == [5.0]
    assert (mean.buffers[0].tolist(), int(mean.buffers[1])) == ([4.0], 3)


def test_a_side_without_parameters_has_no_gradients() -> None:
    side = Side(nn.Sequential(nn.Flatten()), sgd(), None)
    tape = side.forward(side.initial(), torch.randn(3, 2, 2), seed=0)
    assert side.backward(tape, torch.ones(3, 4)) == ()
    assert side.update(side.initial(), (), ()).n_updates == 1
