"""Gradient direction alignment (GDA), Algorithm 2 of [lin2026gapsl]. Imports torch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from gapslsim.frameworks.rules._lgi import Leader, mask_of
from gapslsim.frameworks.rules.gapsl_options import GapslOptions
from gapslsim.learning import alignment
from gapslsim.learning.gradient_rows import GradientRows, Rows, mean_of, new_rows
from gapslsim.learning.rules import Fate, Gradients

__all__ = ["admitted_clients", "aligned_update", "as_long_as_the_mean", "fates_of", "regularised_losses"]


def admitted_clients(
    options: GapslOptions, angles: Tensor, random: np.random.Generator
) -> tuple[Tensor, float]:
    """Who is admitted, Eq. (6) and its ablations.

    Args:
        options: `admission`, `on_empty`, `eta`, `threshold_rad`.
        angles: theta_lead_i [rad], [S].
        random: for Rand-GDA.

    Returns:
        Bool [S] and the threshold [rad]; NaN for `admission: all`, which has none.
    """
    if options.admission == "all":
        return torch.ones_like(angles, dtype=torch.bool), math.nan
    if options.threshold_rad is not None:
        threshold = options.threshold_rad
    else:
        threshold = alignment.alignment_threshold(angles, options.eta)
    admitted = alignment.admit(angles, threshold)
    # Before Rand-GDA draws: it must admit as many as Eq. (6) would have, the fallback included.
    if options.on_empty == "nearest" and not bool(admitted.any()):
        admitted = alignment.nearest(angles)
    if options.admission == "random":
        rows = random.choice(len(angles), int(admitted.sum()), replace=False)
        admitted = mask_of(rows.tolist(), angles)
    return admitted, threshold


def regularised_losses(options: GapslOptions, losses: Tensor, angles: Tensor, admitted: Tensor) -> Tensor:
    """Losses as GAPSL reports them, [S], on the CPU: Eq. (7) for admitted clients, L_i for the others."""
    terms, read = alignment.penalty(angles, options.lambda_).to(losses.dtype), losses.cpu()
    return torch.where(admitted, read + terms, read)


def fates_of(options: GapslOptions, admitted: Tensor) -> tuple[Fate, ...]:
    """What becomes of each client; those not admitted meet `excluded`."""
    return tuple("train" if inside else options.excluded for inside in admitted.tolist())


def aligned_update(
    options: GapslOptions, gradients: Gradients, leader: Leader, admitted: Tensor
) -> tuple[Tensor, tuple[Tensor | None, ...] | None]:
    """Derivative of the global loss, Eq. (8), as `gradient` and `reduction` say.

    Args:
        options: `gradient`, `lambda_`, `reduction`.
        gradients: g_i and, for `gradient: exact`, the Hessian products.
        leader: of this round.
        admitted: bool [S].

    Returns:
        The update [d] (zero if nobody is admitted), and what is added to the cut gradients if anything is.

    Raises:
        ValueError: if `gradient: exact` is chosen and no Hessian product is given.
    """
    rows = admitted.nonzero().flatten().tolist()
    # A mean over nobody would be NaN.
    if not rows:
        return torch.zeros_like(gradients.matrix[0]), None
    cut_terms: list[Tensor | None] = [None] * len(admitted)
    if not options.lambda_ > 0 or options.gradient == "detached":
        return mean_of(gradients.matrix, rows, total=options.reduction == "sum"), None
    lead = leader.gradient()
    matrix: Rows = gradients.matrix
    # Rows of their own: the terms must not be added to the clients' gradients.
    turned = (
        new_rows(len(rows), len(lead), lead.to(matrix.dtype)) if isinstance(matrix, GradientRows) else None
    )
    copies: list[Tensor] = []
    for place, row in enumerate(rows):
        own = matrix[row]
        if options.gradient == "steer":
            own = (own + options.lambda_ * alignment.steer_term(own, lead)).to(own.dtype)
        else:
            if gradients.hessian_product is None:
                raise ValueError("'gradient: exact' needs Gradients.hessian_product, which was not given.")
            direction = alignment.penalty_gradient(own, lead).to(own.dtype)
            at_server, at_cut = gradients.hessian_product(row, direction)
            own = own + options.lambda_ * at_server
            # Exact differentiation reaches the smashed data as well, and through it the client.
            cut_terms[row] = options.lambda_ * at_cut
        if turned is None:
            copies.append(own)
        else:
            turned.write(slice(place, place + 1), own[None])
    update = mean_of(
        torch.stack(copies) if turned is None else turned, range(len(rows)), total=options.reduction == "sum"
    )
    return update, None if all(term is None for term in cut_terms) else tuple(cut_terms)


def as_long_as_the_mean(update: Tensor, rows: Rows) -> Tensor:
    """The update [d] with the length of the mean of all rows; zero stays zero, as it has no direction to keep."""
    own: Tensor = update.double().norm()
    wanted: Tensor = mean_of(rows, range(len(rows))).double().norm()
    return update * (wanted / own if own > 0 else own).to(update.dtype)
