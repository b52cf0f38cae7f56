"""Losses that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gapslsim.checks import loss
from gapslsim.learning.losses.mse import Mse
from gapslsim.registry import component


def broken(**methods: Any) -> Callable[[], Any]:
    def make() -> Any:
        return component(type("Broken", (Mse,), {"__module__": __name__, "__annotations__": {}, **methods}))()

    return make


def of_each(value: Callable[[Any], Any]) -> Callable[[], Any]:
    return broken(each=lambda self, outputs, labels, weights: value(outputs))


def spoiled(outputs: Any) -> Any:
    outputs[0] += 1
    return outputs.square().sum(1)


CASES: list[tuple[Any, Any, str]] = [
    (loss.losses_are_each_samples_own, of_each(lambda outputs: outputs.square().mean()), "has the shape ()"),
    (
        loss.losses_are_each_samples_own,
        of_each(lambda outputs: outputs.square().sum(1) / outputs.square().sum()),
        "when five others lie beside them",
    ),
    (loss.a_loss_is_pure_and_can_be_differentiated, of_each(spoiled), "writes to outputs"),
    (
        loss.a_loss_is_pure_and_can_be_differentiated,
        of_each(lambda outputs: outputs[:, 0].exp().exp()),
        "not finite",
    ),
    (
        loss.a_loss_is_pure_and_can_be_differentiated,
        of_each(lambda outputs: outputs.sum(1).round()),
        "nothing would be learned",
    ),
    (
        loss.probabilities_survive,
        broken(outputs_for=lambda self, probabilities: (1 - probabilities).log()),
        "sure and right models",
    ),
    (
        loss.class_weights_are_positive,
        broken(weights_for=lambda self, counts: counts / np.sum(counts)),
        "weights_for gives",
    ),
    (
        loss.class_weights_are_positive,
        broken(weights_for=lambda self, counts: np.ones(3)),
        "for 4 classes",
    ),
]
NOTES: list[tuple[Any, Any, str]] = []
