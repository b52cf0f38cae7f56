"""What an operation lets us see, as plain values that a journal can write and that are read back bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gapslsim.learning.rules import AlignmentDetail
from gapslsim.records import AlignmentRow, LossRow

if TYPE_CHECKING:
    from gapslsim.learning._observations import Accuracy
    from gapslsim.learning.outcome import ServerOutcome

__all__ = ["accuracy_record", "alignment_rows", "geometry_record", "loss_record", "step_record"]


def step_record(outcome: ServerOutcome, round: int, clients: tuple[int, ...]) -> dict[str, Any]:
    """Of a server step: losses, gradient geometry, each client's fate, what the rule remembers."""
    detail = outcome.detail
    rows = [] if detail is None else alignment_rows(round, clients, outcome.reported_losses, detail)
    return {
        **loss_record(outcome.losses),
        "alignment": rows,
        "fates": list(outcome.fates),
        "rule_state": {name: float(value) for name, value in outcome.rule_state.items()},
    }


def loss_record(losses: Sequence[LossRow]) -> dict[str, Any]:
    """Of local training: the loss."""
    return {"losses": list(losses)}


def accuracy_record(accuracies: Sequence[Accuracy]) -> dict[str, Any]:
    """Of an evaluation."""
    return {"accuracies": list(accuracies)}


def geometry_record(outcome: ServerOutcome) -> dict[str, Any]:
    """Of a server step whose gradients were measured."""
    assert outcome.geometry is not None
    return outcome.geometry._asdict()


def alignment_rows(
    round: int, clients: tuple[int, ...], losses: Sequence[float], detail: AlignmentDetail
) -> list[AlignmentRow]:
    """The gradient geometry of one round."""
    return [
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
        for row, client in enumerate(clients)
    ]
