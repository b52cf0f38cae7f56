"""`gradient: exact` against finite differences of Eq. (7) on a small network."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gapslsim.frameworks.slots import server_updates
from tests.unit.frameworks.rules.support_rules import gradients

SHAPES = [(4, 3), (4,), (2, 4), (2,)]
S, BATCH, LAMBDA, H = 3, 5, 0.7, 1e-5


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


WEIGHTS = torch.cat([draw(i, *shape).flatten() for i, shape in enumerate(SHAPES)])
SMASHED = [draw(10 + i, BATCH, 3) for i in range(S)]
LABELS = [torch.tensor([i % 2, 1, 0, 0, i // 2]) for i in range(S)]


def loss(weights: Tensor, smashed: Tensor, labels: Tensor) -> Tensor:
    pieces = weights.split([int(np.prod(shape)) for shape in SHAPES])
    w1, b1, w2, b2 = (p.view(shape) for p, shape in zip(pieces, SHAPES, strict=True))
    return F.cross_entropy(F.linear(torch.tanh(F.linear(smashed, w1, b1)), w2, b2), labels)


def server_gradient(weights: Tensor, smashed: Tensor, labels: Tensor) -> Tensor:
    weights = weights.detach().requires_grad_()
    return torch.autograd.grad(loss(weights, smashed, labels), weights)[0]


def hessian_product(row: int, v: Tensor) -> tuple[Tensor, Tensor]:
    weights, smashed = WEIGHTS.clone().requires_grad_(), SMASHED[row].clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(weights, smashed, LABELS[row]), weights, create_graph=True)
    at_server, at_cut = torch.autograd.grad(g @ v, (weights, smashed))
    return at_server, at_cut


def regularised(weights: Tensor, smashed: Tensor, labels: Tensor, leader: Tensor) -> float:
    g = server_gradient(weights, smashed, labels)
    return float(loss(weights, smashed, labels) + LAMBDA * (1 - torch.cosine_similarity(g, leader, dim=0)))


def differences(value: object, at: Tensor) -> Tensor:
    out = torch.zeros_like(at)
    for i in range(at.numel()):
        step = torch.zeros_like(at).flatten()
        step[i] = H
        step = step.view_as(at)
        out.view(-1)[i] = (value(at + step) - value(at - step)) / (2 * H)  # type: ignore[operator]
    return out


def test_exact_update_and_cut_terms_agree_with_finite_differences_of_equation_7() -> None:
    matrix = torch.stack([server_gradient(WEIGHTS, a, y) for a, y in zip(SMASHED, LABELS, strict=True)])
    rule = server_updates["gapsl"](
        leader="mean", admission="all", gradient="exact", lambda_=LAMBDA, reduction="sum"
    )
    got = rule.decide(gradients(matrix, hessian_product=hessian_product))
    leader = matrix.mean(0)
    want = sum(
        differences(lambda w, a=a, y=y: regularised(w, a, y, leader), WEIGHTS)
        for a, y in zip(SMASHED, LABELS, strict=True)
    )
    np.testing.assert_allclose(got.update.numpy(), want.numpy(), rtol=0, atol=1e-8)
    assert float((got.update - matrix.sum(0)).norm()) > 1e-3  # the penalty does turn the update
    assert got.cut_terms is not None
    for smashed, labels, term in zip(SMASHED, LABELS, got.cut_terms, strict=True):
        whole = differences(lambda a, y=labels: regularised(WEIGHTS, a, y, leader), smashed)
        own = differences(lambda a, y=labels: float(loss(WEIGHTS, a, y)), smashed)
        assert term is not None
        np.testing.assert_allclose(term.numpy(), (whole - own).numpy(), rtol=0, atol=1e-8)


def test_clients_that_are_not_admitted_get_no_cut_term() -> None:
    matrix = torch.stack([server_gradient(WEIGHTS, a, y) for a, y in zip(SMASHED, LABELS, strict=True)])
    rule = server_updates["gapsl"](gradient="exact", lambda_=LAMBDA, leader="single", eta=0.0)
    got = rule.decide(gradients(matrix, hessian_product=hessian_product))
    assert got.cut_terms is not None
    assert [term is not None for term in got.cut_terms] == [fate == "train" for fate in got.fates]
    assert got.fates.count("train") in (1, 2)


@pytest.mark.parametrize("gradient", ["detached", "steer"])
def test_first_order_options_leave_the_cut_gradients_alone(gradient: str) -> None:
    rule = server_updates["gapsl"](gradient=gradient, lambda_=LAMBDA)
    assert rule.decide(gradients(draw(1, 4, 6))).cut_terms is None
