"""The server's pass: every client's gradient, joined batches, EPSL's shared samples, batch norm, second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.learning.messages import Smashed
from gapslsim.learning.server_pass import average_over_clients, server_pass
from gapslsim.learning.tensors import Side
from tests.support import sgd, three_batches

SIZES = (4, 4, 3, 4, 2)
SEEDS = [11, 12, 13, 14, 15, 16]
NOTHING = [0] * len(SIZES)


def convolutional(norm: str = "group") -> nn.Sequential:
    torch.manual_seed(0)
    norms = {"group": nn.GroupNorm(2, 4), "batch": nn.BatchNorm2d(4)}
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), norms[norm], nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    ).double()


def side(module: nn.Module, *shape: int) -> Side:
    return Side(module, sgd(), None, three_batches(module, *(shape or (3, 4, 4))))


def messages(sizes: Sequence[int] = SIZES, shape: tuple[int, ...] = (3, 4, 4)) -> list[Smashed]:
    random = torch.Generator().manual_seed(1)
    return [
        Smashed(
            torch.randn(n, *shape, generator=random, dtype=torch.float64),
            torch.randint(3, (n,), generator=random),
        )
        for n in sizes
    ]


def textbook(module: nn.Module, given: Sequence[Smashed]) -> tuple[Tensor, list[Tensor], Tensor]:
    """Gradients, cut gradients and losses by plain autograd on the module itself."""
    rows, cuts, losses = [], [], []
    for message in given:
        cut = message.activations.clone().requires_grad_()
        loss = F.cross_entropy(module(cut), message.labels)
        *gradients, at_cut = torch.autograd.grad(loss, (*module.parameters(), cut))
        rows.append(torch.cat([g.flatten() for g in gradients]))
        cuts.append(at_cut)
        losses.append(loss.detach())
    return torch.stack(rows), cuts, torch.stack(losses)


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(3) as pool:

        def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
            return [future.result() for future in [pool.submit(call) for call in calls]]

        yield together


def test_rows_cuts_and_losses_are_those_of_plain_autograd() -> None:
    module, given = convolutional(), messages()
    rows, cuts, losses = textbook(module, given)
    passed = server_pass(side(module), side(module).initial(), given, NOTHING, SEEDS)
    torch.testing.assert_close(passed.matrix, rows, rtol=0, atol=1e-13)
    torch.testing.assert_close(passed.losses, losses, rtol=0, atol=1e-13)
    for own, expected in zip(passed.cuts, cuts, strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("joined_samples", [0, 1, 7, 8, 11, 100])
def test_joined_batches_give_the_mean_gradient_and_every_clients_own_cut_gradient(
    joined_samples: int,
) -> None:
    module, given = convolutional(), messages()
    rows, cuts, losses = textbook(module, given)
    one = side(module)
    passed = server_pass(
        one, one.initial(), given, NOTHING, SEEDS, keep_rows=False, joined_samples=joined_samples
    )
    assert passed.matrix.shape == (1, rows.shape[1])
    torch.testing.assert_close(passed.matrix[0], rows.mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(passed.losses, losses, rtol=0, atol=1e-12)
    for own, expected in zip(passed.cuts, cuts, strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stacked_samples", [0, 5, 8, 100])
@pytest.mark.parametrize("shape", [(3, 4, 4), (6,)])
def test_stacked_batches_give_every_clients_gradient(stacked_samples: int, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    module = convolutional() if len(shape) == 3 else dense
    given = messages((4,) * 5, shape)
    rows, cuts, losses = textbook(module, given)
    one = side(module, *shape)
    passed = server_pass(one, one.initial(), given, NOTHING, SEEDS, stacked_samples=stacked_samples)
    torch.testing.assert_close(passed.matrix, rows, rtol=0, atol=1e-12)
    torch.testing.assert_close(passed.losses, losses, rtol=0, atol=1e-12)
    for own, expected in zip(passed.cuts, cuts, strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-12)


def test_batches_of_different_sizes_are_not_stacked() -> None:
    module, given = convolutional(), messages()
    one = side(module)
    passed = server_pass(one, one.initial(), given, NOTHING, SEEDS, stacked_samples=100)
    torch.testing.assert_close(passed.matrix, textbook(module, given)[0], rtol=0, atol=1e-13)


def test_large_maps_can_be_stacked() -> None:
    module = nn.Sequential(nn.GroupNorm(1, 2), nn.Flatten(), nn.Linear(2 * 144, 3)).double()
    given = messages((2, 2), (2, 12, 12))
    given = [Smashed(m.activations.contiguous(memory_format=torch.channels_last), m.labels) for m in given]
    one = side(module, 2, 12, 12)
    passed = server_pass(one, one.initial(), given, [0, 0], SEEDS[:3], stacked_samples=100)
    torch.testing.assert_close(passed.matrix, textbook(module, given)[0], rtol=0, atol=1e-12)


def test_batches_are_not_joined_where_a_layer_mixes_samples() -> None:
    module, given = convolutional("batch"), messages()
    one = side(module)
    each = server_pass(one, one.initial(), given, NOTHING, SEEDS)
    joined = server_pass(one, one.initial(), given, NOTHING, SEEDS, keep_rows=False, joined_samples=100)
    torch.testing.assert_close(joined.matrix[0], each.matrix.mean(0), rtol=0, atol=1e-14)
    torch.testing.assert_close(joined.losses, each.losses, rtol=0, atol=0)


@pytest.mark.parametrize("keep_rows", [True, False])
def test_threads_change_no_bit(keep_rows: bool, threads: Any) -> None:
    module, given = convolutional(), messages()
    one = side(module)
    state = one.initial()
    shared = [2, 2, 1, 2, 1]
    for n_shared in (NOTHING, shared):
        left, right = (
            server_pass(one, state, given, n_shared, SEEDS, keep_rows=keep_rows, joined_samples=8, **how)
            for how in ({}, {"together": threads})
        )
        assert torch.equal(left.matrix, right.matrix)
        assert torch.equal(left.losses, right.losses)
        assert all(torch.equal(a, b) for a, b in zip(left.cuts, right.cuts, strict=True))


def test_running_statistics_pass_from_client_to_client_in_order() -> None:
    module, given = convolutional("batch"), messages()
    one = side(module)
    state = one.initial()
    expected = convolutional("batch").train()
    for message in given:
        expected(message.activations)
    passed = server_pass(one, state, given, NOTHING, SEEDS)
    for found, buffer in zip(passed.buffers, expected.buffers(), strict=True):
        torch.testing.assert_close(found, buffer, rtol=0, atol=1e-14)
    assert int(state.buffers[2]) == 0  # what came in is as it was
    assert int(passed.buffers[2]) == len(SIZES)


@pytest.mark.parametrize("joined", [False, True])
def test_shared_samples_of_epsl_are_backpropagated_once_through_their_average(joined: bool) -> None:
    # A linear server W [3, 2] without bias: logits z = W a, so every derivative can be written down.
    weight = torch.tensor([[0.5, -1.0], [0.25, 0.75], [-0.5, 0.1]], dtype=torch.float64)
    module = nn.Linear(2, 3, bias=False).double()
    module.weight.data = weight.clone()
    one = side(module, 2)
    given = messages((2, 2), (2,))
    passed = server_pass(
        one,
        one.initial(),
        given,
        [1, 1],
        SEEDS[:3],
        keep_rows=not joined,
        joined_samples=4 if joined else 0,
    )
    delta = []  # dL_i/dz of each sample: (softmax - one-hot) / 2
    for message in given:
        p = torch.softmax(message.activations @ weight.T, dim=1)
        delta.append((p - F.one_hot(message.labels, 3)) / 2)
    mean_delta = (delta[0][0] + delta[1][0]) / 2
    mean_input = (given[0].activations[0] + given[1].activations[0]) / 2
    shared_row = torch.outer(mean_delta, mean_input)
    own = [torch.outer(delta[i][1], given[i].activations[1]) for i in range(2)]
    rows = torch.stack([(shared_row + o).flatten() for o in own])
    expected = rows.mean(0, keepdim=True) if joined else rows
    torch.testing.assert_close(passed.matrix, expected, rtol=0, atol=1e-14)
    assert passed.shared_cut is not None
    torch.testing.assert_close(passed.shared_cut, (mean_delta @ weight)[None], rtol=0, atol=1e-14)
    for i in range(2):
        assert torch.equal(passed.cuts[i][0], torch.zeros(2, dtype=torch.float64))
        torch.testing.assert_close(passed.cuts[i][1], delta[i][1] @ weight, rtol=0, atol=1e-14)


def test_the_average_over_clients_counts_only_clients_that_have_the_row() -> None:
    left, right = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[5.0]])
    assert average_over_clients([left, right], [2, 1]).tolist() == [[3.0], [2.0]]


def test_hessian_products_are_those_of_autograd() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    one, given = side(module, 3), messages((3, 2), (3,))
    passed = server_pass(one, one.initial(), given, [0, 0], SEEDS[:3], second_order=True)
    assert passed.hessian_product is not None
    vector = torch.linspace(-1, 1, passed.matrix.shape[1], dtype=torch.float64)
    names = [name for name, _ in module.named_parameters()]
    sizes = [p.numel() for p in module.parameters()]

    def loss(flat: Tensor) -> Tensor:
        pieces = [p.view_as(q) for p, q in zip(flat.split(sizes), module.parameters(), strict=True)]
        output = torch.func.functional_call(
            module, dict(zip(names, pieces, strict=True)), given[1].activations
        )
        return F.cross_entropy(output, given[1].labels)

    flat = torch.cat([p.detach().flatten() for p in module.parameters()])
    (_, expected) = torch.autograd.functional.hvp(loss, flat, vector)
    at_server, at_cut = passed.hessian_product(1, vector)
    torch.testing.assert_close(at_server, expected, rtol=0, atol=1e-12)
    assert at_cut.shape == given[1].activations.shape


def test_a_server_in_single_precision_keeps_its_type() -> None:
    module = convolutional().float()
    one = side(module)
    given = [Smashed(m.activations.float(), m.labels) for m in messages()]
    passed = server_pass(one, one.initial(), given, NOTHING, SEEDS, keep_rows=False, joined_samples=8)
    assert passed.matrix.dtype == torch.float32
