"""Invariants of metrics: a pure function of what a model says, whatever the scale of the weights."""

from __future__ import annotations

import math

import numpy as np

from gapslsim.checks._tools import check_pure
from gapslsim.checks.check import require
from gapslsim.learning.metric import Judged, Metric


def a_metric_is_a_number_whatever_is_said(metric: Metric) -> None:
    """`value` is a number, also for one sample, for labels of one class, and where everything is right or wrong.

    Give NaN where it has no meaning, and never a warning or an error.
    """
    for judged in (_said(40), _said(1), _said(9, n_classes=1), _sure(right=True), _sure(right=False)):
        value = metric.value(judged)
        require(isinstance(value, (int, float)), f"value is {value!r}; give a float")


def a_metric_is_pure(metric: Metric) -> None:
    """`value` is the same each time, and changes nothing of what it is given.

    Make no change in place, and draw nothing.
    """
    judged = _said(40)
    given = {
        "log_probabilities": judged.log_probabilities,
        "labels": judged.labels,
        "weights": judged.weights,
    }
    check_pure("value", lambda: metric.value(judged), given)


def the_order_of_the_samples_is_of_no_account(metric: Metric) -> None:
    """`value` is the same in any order of the test samples.

    It may depend on what is said of each sample, and not on its place.
    """
    judged = _said(40)
    order = np.random.default_rng(2).permutation(40)
    turned = Judged(judged.log_probabilities[order], judged.labels[order], judged.weights[order])
    one, other = metric.value(judged), metric.value(turned)
    require(
        math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12),
        f"it is {one!r}, and {other!r} in another order",
    )


def weights_count_in_proportion(metric: Metric) -> None:
    """`value` is the same if all weights are doubled, and a sample of weight 2 counts as two of weight 1.

    Weigh samples by `weights`, as `sample_weight` of scikit-learn does.
    """
    judged = _said(40)
    twice = np.repeat(np.arange(40), 2)
    doubled = Judged(judged.log_probabilities, judged.labels, 2 * judged.weights)
    repeated = Judged(judged.log_probabilities[twice], judged.labels[twice], judged.weights[twice])
    for other in (doubled, repeated):
        one, two = metric.value(judged), metric.value(other)
        require(math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12), f"it is {one!r}, and {two!r} with them")


def _said(n: int, n_classes: int = 4) -> Judged:
    random = np.random.default_rng(1)
    probabilities = random.dirichlet(np.ones(4), n)
    labels = random.integers(n_classes, size=n)
    return Judged(np.log(probabilities), labels, random.integers(1, 4, size=n).astype(float))


def _sure(right: bool) -> Judged:
    labels = np.arange(12) % 4
    said = labels if right else (labels + 1) % 4
    probabilities = np.full((12, 4), 1e-12)
    probabilities[np.arange(12), said] = 1 - 3e-12
    return Judged(np.log(probabilities), labels, np.ones(12))
