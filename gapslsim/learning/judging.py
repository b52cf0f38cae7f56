"""What is noted of every model that is evaluated, besides accuracy and loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from gapslsim.data.target import Target
from gapslsim.learning.metric import Judged, Metric
from gapslsim.registry import content_of

__all__ = ["Confused", "Judge", "MetricSeen", "Predicted", "Wanted"]


class MetricSeen(NamedTuple):
    """A metric of one model; `client` is -1 where the view is one model."""

    round: int
    view: str
    client: int
    name: str
    value: float


class Confused(NamedTuple):
    """How often a model says one class where another, or the same, is right."""

    round: int
    view: str
    client: int
    label: int
    predicted: int
    n_samples: int


class Predicted(NamedTuple):
    """What a model says of one test sample."""

    round: int
    view: str
    client: int
    sample: int
    label: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class Wanted:
    """What an evaluation is asked for besides accuracy and loss."""

    metrics: tuple[Metric, ...] = ()
    per_class: bool = False
    """Counts of what is said for what; not in the view `local`, whose models are those of `clients`."""
    predictions: bool = False
    """What is said of each sample, likewise."""

    @property
    def key(self) -> list[Any]:
        """For content keys; empty if nothing is wanted."""
        if self == Wanted():
            return []
        return [[content_of(metric) for metric in self.metrics], self.per_class, self.predictions]


class Judge:
    """Notes what is wanted of each model.

    Args:
        wanted: what to note.
        round: for the rows.
        target: what labels are.
    """

    def __init__(self, wanted: Wanted, round: int, target: Target = "class") -> None:
        self._target: Target = target
        self._wanted = wanted
        self._round = round
        self.record: dict[str, Any] = {
            **({"metrics": []} if wanted.metrics else {}),
            **({"confusion": []} if wanted.per_class else {}),
            **({"predictions": []} if wanted.predictions else {}),
        }
        """Rows by table, those that are wanted."""

    def __call__(
        self,
        view: str,
        clients: Sequence[int],
        said: Float[np.ndarray, "n n_classes"],
        labels: Shaped[np.ndarray, "n ..."],
        weights: Float[np.ndarray, " n"] | None = None,
    ) -> None:
        """Judges one model.

        Args:
            view: in which.
            clients: whose it is; several may have the same one.
            said: logarithms of its probabilities, or numbers.
            labels: what is right.
            weights: how much each sample counts; 1 each unless given.
        """
        weights = np.ones(len(labels)) if weights is None else weights
        counts = weights > 0
        judged = Judged(said[counts], labels[counts], weights[counts], self._target)
        values = {
            metric.kind: metric.value(judged) if counts.any() else math.nan for metric in self._wanted.metrics
        }
        rows: dict[str, list[tuple[Any, ...]]] = {"metrics": list(values.items())}
        if view != "local":
            if self._wanted.per_class:
                rows["confusion"] = _confusion(judged)
            if self._wanted.predictions:
                rows["predictions"] = _predictions(judged)
        for client in clients:
            for table in rows.keys() & self.record.keys():
                make = _ROWS[table]._make
                self.record[table] += [make((self._round, view, client, *row)) for row in rows[table]]


_ROWS: Final[dict[str, Any]] = {"metrics": MetricSeen, "confusion": Confused, "predictions": Predicted}


def _confusion(judged: Judged) -> list[tuple[Any, ...]]:
    """Label, what is said and how often, where that is not never."""
    pairs, n = np.unique(np.stack([judged.labels, judged.predicted]), axis=1, return_counts=True)
    return list(zip(*pairs.tolist(), n.tolist(), strict=True))


def _predictions(judged: Judged) -> list[tuple[Any, ...]]:
    """Sample, label, what is said and its probability."""
    columns = (judged.labels, judged.predicted, judged.probabilities.max(1))
    return list(zip(range(len(judged.labels)), *(column.tolist() for column in columns), strict=True))
