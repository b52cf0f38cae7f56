"""Leader gradient identification (LGI), Algorithm 1 of [lin2026gapsl]. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gapslsim.errors import NumericalError, Problem, ScenarioError
from gapslsim.frameworks.rules.gapsl_options import LeaderOptions
from gapslsim.learning import alignment
from gapslsim.learning.gradient_rows import Rows
from gapslsim.learning.rules import AlignmentDetail, Gradients

__all__ = ["Leader", "identify_leader", "mask_of", "refuse_non_finite"]


@dataclass(frozen=True, eq=False)
class Leader:
    """The leader of one round and how it was found; S participants, d parameters."""

    gradients: Rows
    """g_i as rows, [S, d]."""
    angles: Tensor
    """theta_lead_i, Eq. (5) [rad], float64 [S]."""
    leaders: Tensor
    """Who is in the leader set, Eq. (3), bool [S]."""
    scores: Tensor
    """theta_i, Eq. (1) [rad], float64 [S]."""
    norms: Tensor
    """|g_i|, float64 [S]."""
    ratio: float
    """K_t of Eq. (2), or what stands in for it."""
    dispersion: float
    """nu(theta_t) [rad]."""
    state: Mapping[str, float]
    """nu_min and nu_max up to and including this round [rad]."""

    def gradient(self) -> Tensor:
        """g_lead, Eq. (4), float64 [d]; made when asked for, since angles and admission follow without it."""
        return alignment.leader_gradient(self.gradients, self.leaders)

    def detail(self, admitted: Tensor, threshold: float) -> AlignmentDetail:
        """The round's rows of the `alignment` table."""
        return AlignmentDetail(
            score_rad=self.scores.cpu().numpy(),
            in_leader_set=self.leaders.cpu().numpy(),
            angle_to_leader_rad=self.angles.cpu().numpy(),
            admitted=admitted.cpu().numpy(),
            gradient_norm=self.norms.cpu().numpy(),
            threshold_rad=threshold,
            selection_ratio=self.ratio,
            dispersion_rad=self.dispersion,
        )


def identify_leader(options: LeaderOptions, gradients: Gradients) -> Leader:
    """Finds the leader gradient, Eqs. (1) to (5). The running extremes of nu are updated before Eq. (2) uses them.

    Raises:
        NumericalError: if a gradient is NaN or infinite; names the client and the round.
        ScenarioError: if Eq. (2) is used and T is unknown.
    """
    matrix = gradients.matrix
    gram = gradients.gram
    # S numbers that are there already tell whether anything is not finite; who it is costs a pass over all.
    if not bool(gram.products.diagonal().isfinite().all()):
        refuse_non_finite(gradients)
    scores = alignment.consistency_scores(alignment.pairwise_angles(matrix, gram))
    nu = alignment.dispersion(scores)
    nu_min = min(gradients.state.get("nu_min", nu), nu)
    nu_max = max(gradients.state.get("nu_max", nu), nu)
    ratio = _ratio(options, gradients, nu, nu_min, nu_max)
    leaders = _leader_set(options, gradients, scores, ratio)
    return Leader(
        gradients=matrix,
        angles=alignment.angles_to_leader(matrix, gram, leaders),
        leaders=leaders,
        scores=scores,
        norms=alignment.norms(gram),
        ratio=ratio,
        dispersion=nu,
        state={"nu_min": nu_min, "nu_max": nu_max},
    )


def refuse_non_finite(gradients: Gradients) -> None:
    """Refuses gradients that are NaN or infinite.

    Raises:
        NumericalError: names the first such client and the round.
    """
    rows = (gradients.matrix[row] for row in range(len(gradients.clients)))
    largest = torch.stack([row.abs().amax() for row in rows]).tolist()
    for client, value in zip(gradients.clients, largest, strict=True):
        # So written, it holds for NaN too.
        if not value < float("inf"):
            raise NumericalError(
                f"The server-side gradient of client {client} is NaN or infinite in round {gradients.round}. "
                "Lower the learning rates."
            )


def mask_of(rows: Sequence[int], like: Tensor) -> Tensor:
    """Boolean vector as long as `like`, true at the given rows."""
    mask = torch.zeros(len(like), dtype=torch.bool, device=like.device)
    mask[list(rows)] = True
    return mask


def _ratio(options: LeaderOptions, gradients: Gradients, nu: float, nu_min: float, nu_max: float) -> float:
    """K_t of Eq. (2), or what stands in for it."""
    if options.leader == "mean":
        return 1.0
    if options.leader == "single":
        return 1.0 / len(gradients.clients)
    if options.leader_ratio is not None:
        return options.leader_ratio
    planned = options.planned_rounds or gradients.planned_rounds
    if planned is None:
        raise ScenarioError(
            [
                Problem(
                    "framework.planned_rounds",
                    "Eq. (2) needs the planned number of rounds, and the scenario does not tell it. "
                    "Set stop.rounds or stop.epochs, or framework.planned_rounds.",
                )
            ]
        )
    return alignment.selection_ratio(
        nu, nu_min, nu_max, gradients.round, planned, options.k_min, options.k_max
    )


def _leader_set(options: LeaderOptions, gradients: Gradients, scores: Tensor, ratio: float) -> Tensor:
    """Who is in the leader set, bool [S]."""
    n = len(gradients.clients)
    if options.leader == "single":
        wanted = options.leader_client or 0
        # Participants come in ascending order, so the first at or after the wanted index; else around to the
        # first.
        row = next((row for row, client in enumerate(gradients.clients) if client >= wanted), 0)
        return mask_of([row], scores)
    count = alignment.leader_count(ratio, n)
    if options.leader == "random":
        return mask_of(gradients.random.choice(n, count, replace=False).tolist(), scores)
    return alignment.leader_set(scores, count)
