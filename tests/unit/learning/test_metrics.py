"""Metrics against scikit-learn, and against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss
from sklearn.preprocessing import label_binarize

from gapslsim.learning.metric import Judged, metrics

RANDOM = np.random.default_rng(5)


def said(n: int = 200, n_classes: int = 5, weights: Any = None) -> Judged:
    probabilities = RANDOM.dirichlet(np.ones(n_classes), n)
    labels = np.where(RANDOM.random(n) < 0.5, probabilities.argmax(1), RANDOM.integers(n_classes, size=n))
    return Judged(np.log(probabilities), labels, np.ones(n) if weights is None else weights)


def value(kind: str, judged: Judged, **settings: Any) -> float:
    return metrics[kind](**settings).value(judged)


WEIGHTS = pytest.mark.parametrize("weights", [None, RANDOM.random(200) + 0.1], ids=["alike", "unlike"])


@WEIGHTS
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_f1_is_that_of_scikit_learn(average: Any, weights: Any) -> None:
    judged = said(weights=weights)
    theirs = f1_score(judged.labels, judged.predicted, average=average, sample_weight=judged.weights)
    assert value("f1", judged, average=average) == pytest.approx(theirs, abs=1e-12)


@WEIGHTS
def test_balanced_accuracy_is_that_of_scikit_learn(weights: Any) -> None:
    judged = said(weights=weights)
    theirs = balanced_accuracy_score(judged.labels, judged.predicted, sample_weight=judged.weights)
    assert value("balanced_accuracy", judged) == pytest.approx(theirs, abs=1e-12)


@WEIGHTS
def test_perplexity_is_the_exponential_of_the_log_loss_of_scikit_learn(weights: Any) -> None:
    judged = said(weights=weights)
    theirs = log_loss(judged.labels, judged.probabilities, sample_weight=judged.weights)
    assert value("perplexity", judged) == pytest.approx(math.exp(theirs), rel=1e-12)


def of_two(confidence: list[float], right: list[bool]) -> Judged:
    """Samples of two classes, the likelier one with this probability."""
    p = np.array(confidence)
    labels = np.where(right, 0, 1)
    return Judged(np.log(np.stack([p, 1 - p], 1)), labels, np.ones(len(p)))


def test_the_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    # Bins of a tenth: 0.55 and 0.6 in (0.5, 0.6], 0.95 three times in (0.9, 1].
    judged = of_two([0.55, 0.6, 0.95, 0.95, 0.95], [True, False, True, True, False])
    first, last = abs(1 / 2 - (0.55 + 0.6) / 2), abs(2 / 3 - 0.95)
    assert value("calibration_error", judged, bins=10) == pytest.approx(
        2 / 5 * first + 3 / 5 * last, abs=1e-12
    )


def test_in_one_bin_the_calibration_error_is_confidence_less_accuracy() -> None:
    judged = said()
    gap = abs((judged.predicted == judged.labels).mean() - judged.probabilities.max(1).mean())
    assert value("calibration_error", judged, bins=1) == pytest.approx(gap, abs=1e-12)


def test_the_calibration_error_of_15_bins_is_that_of_a_loop_over_bins() -> None:
    judged = said(weights=RANDOM.random(200) + 0.1)
    confidence, right = judged.probabilities.max(1), judged.predicted == judged.labels
    total = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            w = judged.weights[inside]
            gap = abs(np.average(right[inside], weights=w) - np.average(confidence[inside], weights=w))
            total += gap * w.sum() / judged.weights.sum()
    assert value("calibration_error", judged) == pytest.approx(total, abs=1e-12)


def test_a_class_that_is_never_right_and_only_said_lowers_f1_but_not_balanced_accuracy() -> None:
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    probabilities = np.where(label_binarize(predicted, classes=[0, 1, 2]), 0.8, 0.1)
    judged = Judged(np.log(probabilities), labels, np.ones(4))
    assert value("f1", judged) == pytest.approx((2 / 3 + 1 + 0) / 3, abs=1e-12)
    assert value("balanced_accuracy", judged) == pytest.approx((1 / 2 + 1) / 2, abs=1e-12)


def test_a_certain_and_wrong_answer_makes_perplexity_infinite() -> None:
    with np.errstate(divide="ignore"):
        judged = of_two([1.0, 0.5], [False, True])
    assert value("perplexity", judged) == math.inf
