"""What training lets us see: losses, gradient geometry, accuracies. No times; the clock adds them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from gapslsim.records import AlignmentRow, LossRow

__all__ = ["Accuracy", "Observations"]


class Accuracy(NamedTuple):
    """Test accuracy of one view; `client` is -1 where the view is one model."""

    round: int
    view: str
    client: int
    accuracy: float
    loss: float


class Observations:
    """Rows of one run, in order of the rounds."""

    def __init__(self) -> None:
        self.losses: list[LossRow] = []
        self.alignment: list[AlignmentRow] = []
        self.accuracies: list[Accuracy] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds what one operation let us see, as its record says; see `recording`."""
        self.losses.extend(map(LossRow._make, record.get("losses", ())))
        self.alignment.extend(map(AlignmentRow._make, record.get("alignment", ())))
        self.accuracies.extend(map(Accuracy._make, record.get("accuracies", ())))

    def mean_loss(self, round: int) -> float:
        """Mean training loss over the participants of a round; NaN if there is none."""
        values = []
        for row in reversed(self.losses):
            if row.round != round:
                break
            values.append(row.loss)
        return sum(sorted(values)) / len(values) if values else math.nan

    def learning_sha256(self) -> str:
        """Hash of every loss and metric, independent of the order in which simultaneous ones were seen."""
        digest = hashlib.sha256()
        for table in (self.losses, self.alignment, self.accuracies):
            for row in sorted(table, key=lambda r: (r.round, getattr(r, "view", ""), r.client)):
                digest.update(repr(tuple(row)).encode())
        return digest.hexdigest()
