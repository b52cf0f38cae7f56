"""Invariants of metrics: a pure function of what a model says, whatever the scale of the weights."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.checks._tools import check_pure
from gapslsim.checks.check import require
from gapslsim.data.target import Target
from gapslsim.learning.metric import Judged, Metric


def a_metric_is_a_number_whatever_is_said(metric: Metric) -> None:
    """`value` is a number, also for one sample, for labels of one class, and where everything is right or wrong.

    Give NaN where it has no meaning, and never a warning or an error.
    """
    for target in metric.judges:
        every = [_said(n, target) for n in (40, 1)] + [_sure(right, target) for right in (True, False)]
        for judged in [*every, *([_said(9, target, n_classes=1)] if target == "class" else [])]:
            value = metric.value(judged)
            require(isinstance(value, (int, float)), f"value is {value!r}; give a float")


def a_metric_is_pure(metric: Metric) -> None:
    """`value` is the same each time, and changes nothing of what it is given.

    Make no change in place, and draw nothing.
    """
    for target in metric.judges:
        judged = _said(40, target)
        given = {"what is said": judged.said, "labels": judged.labels, "weights": judged.weights}
        check_pure("value", partial(metric.value, judged), given)


def the_order_of_the_samples_is_of_no_account(metric: Metric) -> None:
    """`value` is the same in any order of the test samples.

    It may depend on what is said of each sample, and not on its place.
    """
    order = np.random.default_rng(2).permutation(40)
    for target in metric.judges:
        judged = _said(40, target)
        one, other = metric.value(judged), metric.value(_rows(judged, order))
        require(
            math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12),
            f"it is {one!r}, and {other!r} in another order",
        )


def weights_count_in_proportion(metric: Metric) -> None:
    """`value` is the same if all weights are doubled, and a sample of weight 2 counts as two of weight 1.

    Weigh samples by `weights`, as `sample_weight` of scikit-learn does.
    """
    for target in metric.judges:
        judged = _said(40, target)
        repeated = _rows(judged, np.repeat(np.arange(40), 2))
        for other in (replace(judged, weights=2 * judged.weights), repeated):
            one, two = metric.value(judged), metric.value(other)
            holds = math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12)
            require(holds, f"it is {one!r}, and {two!r} with them")


def _rows(judged: Judged, rows: NDArray[np.int64]) -> Judged:
    return Judged(judged.said[rows], judged.labels[rows], judged.weights[rows], judged.target)


def _said(n: int, target: Target, n_classes: int = 4) -> Judged:
    random = np.random.default_rng(1)
    said = np.log(random.dirichlet(np.ones(4), n))
    labels: NDArray[Any] = random.integers(n_classes, size=n)
    weights = random.integers(1, 4, size=n).astype(float)
    if target != "class":
        labels = random.random((n, 4)).round() if target == "labels" else random.normal(size=(n, 4))
    return Judged(said, labels, weights, target)


def _sure(right: bool, target: Target) -> Judged:
    labels = np.arange(12) % 4
    said = labels if right else (labels + 1) % 4
    probabilities = np.full((12, 4), 1e-12)
    probabilities[np.arange(12), said] = 1 - 3e-12
    hot = np.eye(4, dtype=int)[labels]
    rows: dict[Target, NDArray[Any]] = {"class": labels, "labels": hot, "numbers": hot.astype(float)}
    return Judged(
        probabilities if target == "numbers" else np.log(probabilities), rows[target], np.ones(12), target
    )
