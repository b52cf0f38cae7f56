"""A split network is the network: same weights, same values, same gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gapslsim.models.model import Model, models
from gapslsim.models.split import build, whole

CLASSES = 4


def batch(model: Model, input_shape: tuple[int, ...], n: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(n, *input_shape, generator=generator, dtype=torch.float64)
    if model.input_dtype == "int64":
        inputs = (inputs.abs() * 10).long() % CLASSES
    return inputs, torch.randint(CLASSES, (n,), generator=generator)


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


def test_split_is_unsplit_forward_and_backward_weight_by_weight(split_case: Any) -> None:
    model, input_shape, _ = split_case
    inputs, labels = batch(model, input_shape)
    full = whole(model, input_shape, CLASSES, seed=3).double()
    split = build(model, input_shape, CLASSES, seed=3)
    client, server = split.client.double(), split.server.double()

    loss = F.cross_entropy(full(inputs), labels)
    expected = gradients(full, loss)

    smashed = client(inputs)
    received = smashed.detach().requires_grad_()
    logits = server(received)
    assert logits.shape == (3, CLASSES)
    split_loss = F.cross_entropy(logits, labels)
    *of_server, cut_gradient = torch.autograd.grad(split_loss, [*server.parameters(), received])
    of_client = torch.autograd.grad(smashed, list(client.parameters()), cut_gradient)

    assert torch.equal(split_loss, loss)
    assert len(expected) == len(of_client) + len(of_server)
    for found, wanted in zip([*of_client, *of_server], expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    for found, wanted in zip([*client.buffers(), *server.buffers()], full.buffers(), strict=True):
        assert torch.equal(found, wanted)


def test_weights_are_the_same_whatever_the_cut(whole_case: Any) -> None:
    model, input_shape, cuts = whole_case
    expected = [tensor.clone() for tensor in whole(model, input_shape, CLASSES, seed=1).parameters()]
    for cut in cuts:
        split = build(cut, input_shape, CLASSES, seed=1)
        found = [*split.client.parameters(), *split.server.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        assert len(split.client) >= 1
        assert len(split.server) >= 1


def test_weights_are_a_function_of_the_seed_and_global_state_is_left_alone(whole_case: Any) -> None:
    model, input_shape, _ = whole_case
    before = torch.get_rng_state()
    one, again, other = (whole(model, input_shape, CLASSES, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_the_first_cut_gradient_is_not_zero(whole_case: Any) -> None:
    model, input_shape, _ = whole_case
    inputs, labels = batch(model, input_shape)
    split = build(model, input_shape, CLASSES, seed=3)
    received = split.client.double()(inputs).detach().requires_grad_()
    loss = F.cross_entropy(split.server.double()(received), labels)
    (cut_gradient,) = torch.autograd.grad(loss, received)
    assert cut_gradient.norm() > 0


def test_gradients_can_be_taken_functionally_and_twice(whole_case: Any) -> None:
    model, input_shape, _ = whole_case
    inputs, labels = batch(model, input_shape)
    full = whole(model, input_shape, CLASSES, seed=3).double()
    weights = {name: tensor.detach().requires_grad_() for name, tensor in full.named_parameters()}
    state = weights | {name: tensor.clone() for name, tensor in full.named_buffers()}
    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
        loss = F.cross_entropy(functional_call(full, state, (inputs,)), labels)
        first = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        product = sum((gradient * gradient.detach()).sum() for gradient in first)
        second = torch.autograd.grad(product, list(weights.values()), allow_unused=True)
    assert any(gradient is not None and gradient.norm() > 0 for gradient in second)


def test_a_cut_out_of_range_names_the_range(whole_case: Any) -> None:
    model, input_shape, cuts = whole_case
    last = len(cuts)
    too_far = replace(model, cut=last + 1)
    with pytest.raises(ValueError, match=rf"from 1 to {last} .*found {last + 1}"):
        build(too_far, input_shape, CLASSES, seed=0)


@pytest.mark.parametrize("kind", list(models))
def test_a_cut_below_one_is_refused_as_a_setting(kind: str) -> None:
    with pytest.raises(ValueError, match=r"cut\n.*greater than 0"):
        models[kind](cut=0)


@pytest.mark.parametrize("kind", list(models))
def test_settings_can_be_hashed_and_lists_become_tuples(kind: str) -> None:
    assert hash(models[kind](cut=1)) == hash(models[kind](cut=1))
    assert models["mlp"](hidden=[3, 4]) == models["mlp"](hidden=(3, 4))
