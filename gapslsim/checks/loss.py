"""Invariants of losses: each sample's own, differentiable, and the same whatever lies beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gapslsim.checks._tools import check_pure
from gapslsim.checks.check import InapplicableError, require
from gapslsim.learning.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


def losses_are_each_samples_own(loss: Loss) -> None:
    """`each` gives a number for every sample, the same whatever samples are beside it.

    Give a tensor [b] without a mean over it; several clients' mini-batches may come in one.
    """
    for outputs, labels, weights in _batches(loss):
        each = loss.each(outputs, labels, weights)
        require(tuple(each.shape) == (8,), f"each has the shape {tuple(each.shape)} for 8 samples")
        alone = loss.each(outputs[2:5], labels[2:5], weights)
        require(
            bool((each[2:5] - alone).abs().max() < 1e-12),
            "`each` of three samples is another when five others lie beside them",
        )


def a_loss_is_pure_and_can_be_differentiated(loss: Loss) -> None:
    """`mean` is a finite number with a finite gradient for finite outputs, the same each time.

    It may change nothing of what it is given.
    """
    import torch

    for outputs, labels, weights in _batches(loss):
        given = {"outputs": outputs, "labels": labels}
        check_pure("mean", partial(loss.mean, outputs, labels, weights), given)
        leaf = outputs.clone().requires_grad_()
        value = loss.mean(leaf, labels, weights)
        require(value.dim() == 0, f"mean has the shape {tuple(value.shape)}; give one number")
        (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True, materialize_grads=True)
        finite = bool(torch.isfinite(value)) and bool(torch.isfinite(gradient).all())
        require(finite, "the loss or its gradient is not finite for outputs between -30 and 30")
        require(bool(gradient.abs().max() > 0), "the gradient is 0 everywhere; nothing would be learned")


def probabilities_survive(loss: Loss) -> None:
    """`outputs_for` gives outputs whose loss is finite, also where a class has probability 0 or 1.

    They are the mean probabilities of several models, of which one may be sure.
    """
    import torch

    if "class" not in loss.takes:
        raise InapplicableError("it takes no classes")
    _, labels, weights = next(_batches(loss))
    sure = torch.zeros(8, 4, dtype=torch.float64)
    sure[torch.arange(8), labels] = 1
    value = loss.mean(loss.outputs_for(sure), labels, weights)
    require(bool(torch.isfinite(value)), f"the loss of sure and right models is {float(value)!r}")


def class_weights_are_positive(loss: Loss) -> None:
    """`weights_for` gives None or a positive number for each class, also for one without samples.

    A mini-batch may hold one class alone, and its weights are divided by.
    """
    weights = loss.weights_for(np.array([5, 0, 12, 3]))
    sound = weights is None or (len(weights) == 4 and bool((np.asarray(weights) > 0).all()))
    require(sound, f"weights_for gives {weights!r} for 4 classes")


def _batches(loss: Loss) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Outputs [8, 4], labels [8] or [8, 4] and class weights [4] for all that the loss takes, classes first."""
    import torch

    random = torch.Generator().manual_seed(1)
    outputs = torch.randn(8, 4, generator=random, dtype=torch.float64)
    outputs[0] = torch.tensor([30.0, -30.0, 0.0, 0.0])
    weights = loss.weights_for(np.array([5, 1, 12, 3]))
    classes = torch.arange(8) % 4
    if "class" in loss.takes:
        yield outputs, classes, None if weights is None else torch.tensor(weights, dtype=torch.float64)
    if "labels" in loss.takes:
        yield outputs, torch.eye(4, dtype=torch.int64)[classes], None
    if "numbers" in loss.takes:
        yield outputs, torch.randn(8, 4, generator=random, dtype=torch.float64), None
