"""What training lets us see: losses, gradient geometry, accuracies. No times; the clock adds them."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

from gapslsim.learning.rules import AlignmentDetail
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

    def add_alignment(
        self, round: int, clients: tuple[int, ...], losses: list[float], detail: AlignmentDetail
    ) -> None:
        """Adds the gradient geometry of one round."""
        for row, client in enumerate(clients):
            self.alignment.append(
                AlignmentRow(
                    round=round,
                    client=client,
                    score_rad=float(detail.score_rad[row]),
                    in_leader_set=bool(detail.in_leader_set[row]),
                    angle_to_leader_rad=float(detail.angle_to_leader_rad[row]),
                    admitted=bool(detail.admitted[row]),
                    loss=losses[row],
                    gradient_norm=float(detail.gradient_norm[row]),
                    threshold_rad=float(detail.threshold_rad),
                    selection_ratio=float(detail.selection_ratio),
                    dispersion_rad=float(detail.dispersion_rad),
                )
            )

    def mean_loss(self, round: int) -> float:
        """Mean training loss over the participants of a round; NaN if there is none."""
        values = [row.loss for row in reversed(self.losses) if row.round == round]
        return sum(sorted(values)) / len(values) if values else math.nan

    def learning_sha256(self) -> str:
        """Hash of every loss and metric, independent of the order in which simultaneous ones were seen."""
        digest = hashlib.sha256()
        for table in (self.losses, self.alignment, self.accuracies):
            for row in sorted(table, key=lambda r: (r.round, getattr(r, "view", ""), r.client)):
                digest.update(repr(tuple(row)).encode())
        return digest.hexdigest()
