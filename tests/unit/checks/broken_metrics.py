"""Metrics that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from gapslsim.checks import metric
from gapslsim.learning.metric import Judged
from gapslsim.learning.metrics.f1 import F1
from gapslsim.registry import component

COUNT = itertools.count(1)


def giving(value: Callable[[Judged], Any]) -> Callable[[], Any]:
    def make() -> Any:
        members = {"__module__": __name__, "__annotations__": {}, "value": lambda self, judged: value(judged)}
        return component(type("Broken", (F1,), members))()

    return make


def spoiling(judged: Judged) -> float:
    judged.weights[0] = 0.0
    return 0.5


CASES: list[tuple[Any, Any, str]] = [
    (metric.a_metric_is_a_number_whatever_is_said, giving(lambda judged: None), "give a float"),
    (
        metric.a_metric_is_a_number_whatever_is_said,
        giving(lambda judged: float(judged.probabilities[1, 0])),
        "IndexError",
    ),
    (metric.a_metric_is_pure, giving(lambda judged: float(next(COUNT))), "something else the second time"),
    (metric.a_metric_is_pure, giving(spoiling), "writes to weights"),
    (
        metric.the_order_of_the_samples_is_of_no_account,
        giving(lambda judged: float(judged.probabilities[0, 0])),
        "in another order",
    ),
    (
        metric.weights_count_in_proportion,
        giving(lambda judged: float((judged.weights * judged.probabilities[:, 0]).sum())),
        "with them",
    ),
]
NOTES: list[tuple[Any, Any, str]] = []
