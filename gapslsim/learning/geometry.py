"""Geometry of one round's gradients: how they lie to one another, to their mean and to the update that was made.

S is the number of participants, d the number of server-side parameters, g_i the gradient of client i's loss, d_t the
update: the gradient handed to the server's optimizer, before momentum and weight decay. A step along -d_t lowers the
loss of client i to first order where <g_i, d_t> > 0. Angles are those of `alignment`, in radians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gapslsim.learning import alignment
from gapslsim.learning.gradient_rows import Rows
from gapslsim.learning.rules import AlignmentDetail, Fate
from gapslsim.records import GradientRow, PairRow, UpdateRow

__all__ = ["MOST_PAIRED", "Geometry", "measure", "ranks"]

MOST_PAIRED = 32
"""Participants whose pairs are recorded, the first by index; all of them enter every other figure."""


class Geometry(NamedTuple):
    """Rows of the tables `gradients`, `updates` and `pairwise` for one round."""

    gradients: list[GradientRow]
    updates: list[UpdateRow]
    pairwise: list[PairRow]


def measure(
    gradients: Rows,
    update: Float[Tensor, " d"] | None,
    clients: Sequence[int],
    round: int,
    fates: Sequence[Fate],
    detail: AlignmentDetail | None,
    known: alignment.Gram | None = None,
) -> Geometry:
    """Measures one round.

    Args:
        gradients: g_i as rows.
        update: d_t; None where the server made no step.
        clients: index of the client of each row.
        round: t.
        fates: what the rule made of each client.
        detail: what the rule itself found, if it is GAPSL or one of its ablations.
        known: Gram matrix of the gradients, if it is there already.
    """
    n = len(gradients)
    gram = known or alignment.gram(gradients)
    pairs = alignment.pairwise_angles(gradients, gram)
    scores = alignment.consistency_scores(pairs)
    norms = alignment.norms(gram)
    everyone = torch.ones(n, dtype=torch.bool)
    # The mean is the leader gradient of everyone, and made by the same code, in float64.
    mean = alignment.leader_gradient(gradients, everyone)
    to_mean = alignment.angles_to_leader(gradients, gram, everyone)
    # NaN, not 0: without a step there is no direction to have an angle to.
    to_update = torch.full_like(to_mean, math.nan)
    # Read together: each question to the device waits until it has done all that it was asked before.
    made = [mean] if update is None else [mean, update.to(mean)]
    mean_norm, *of_update = torch.stack([vector.norm() for vector in made]).tolist()
    update_norm = cosine = math.nan
    if update is not None:
        to_update, (update_norm,) = alignment.angles_to(gradients, update), of_update
        if mean_norm > 0 and update_norm > 0:
            # <mean, d> is the mean of <g_i, d>.
            cosine = max(-1.0, min(1.0, float((to_update.cos() * norms).mean()) / mean_norm))
    # NaN compares false, so that without an update nobody descends.
    descends = to_update < math.pi / 2
    leaders = np.zeros(n, dtype=bool) if detail is None else detail.in_leader_set
    admitted = [fate == "train" for fate in fates] if detail is None else detail.admitted.tolist()
    # Each pair once; the zeros of the diagonal would pull the mean down.
    upper = pairs[tuple(torch.triu_indices(n, n, 1))]
    stable, effective = ranks(gram)
    rows = zip(
        clients, norms.tolist(), scores.tolist(), to_mean.tolist(), to_update.tolist(),
        leaders.tolist(), admitted, descends.tolist(), strict=True,
    )  # fmt: skip
    whole = UpdateRow(
        round=round,
        n_clients=n,
        n_leaders=int(leaders.sum()),
        n_admitted=sum(admitted),
        mean_angle_rad=float(upper.mean()) if n > 1 else math.nan,
        dispersion_rad=alignment.dispersion(scores),
        selection_ratio=math.nan if detail is None else float(detail.selection_ratio),
        threshold_rad=math.nan if detail is None else float(detail.threshold_rad),
        conflicting_pairs=float((upper > math.pi / 2).double().mean()) if n > 1 else math.nan,
        mean_norm=mean_norm,
        update_norm=update_norm,
        norm_ratio=update_norm / mean_norm if mean_norm > 0 else math.nan,
        cos_to_mean=cosine,
        descending_share=math.nan if update is None else float(descends.double().mean()),
        stable_rank=stable,
        effective_rank=effective,
    )
    few = min(n, MOST_PAIRED)
    angles = pairs.tolist()
    return Geometry(
        [GradientRow(round, *row) for row in rows],
        [whole],
        [PairRow(round, clients[i], clients[j], angles[i][j]) for i in range(few) for j in range(i + 1, few)],
    )


def ranks(gram: alignment.Gram) -> tuple[float, float]:
    """Stable and effective rank of the gradient matrix G, from its Gram matrix.

    Stable rank: |G|_F^2 / |G|_2^2 (Rudelson and Vershynin 2007). Effective rank: exp of the entropy of the singular
    values over their sum (Roy and Vetterli 2007). Both are 1 for parallel gradients and S for orthogonal ones of one
    length; NaN where all gradients are zero.
    """
    products, exponents = gram
    # Relative to the largest row: ranks do not change with the length of all, and 2**0 is never out of range.
    powers = torch.ldexp(torch.ones_like(products[0]), exponents - exponents.amax())
    # Eigenvalues of the small S x S matrix are the squared singular values of the S x d one. Rounding makes
    # some slightly negative, which have no root.
    values = torch.linalg.eigvalsh(products * powers[:, None] * powers[None, :]).clamp_min(0.0)
    largest = float(values.amax())
    if not largest > 0:
        return math.nan, math.nan
    singular = (values / largest).sqrt()
    # What is left of a zero eigenvalue is rounding.
    singular = singular[singular > len(values) * torch.finfo(torch.float64).eps ** 0.5]
    shares = singular / singular.sum()
    return float(values.sum()) / largest, math.exp(float(-(shares * shares.log()).sum()))
