"""Gradient geometry of GAPSL: leader identification (LGI) and direction alignment (GDA), as pure functions.

Equations are those of [lin2026gapsl], Sections III-B and III-C. S is the number of clients in the round, d the number
of server-side parameters; gradients are the rows of an [S, d] matrix. Angles are in radians. Standard deviations are
population standard deviations.

Where. Gradients stay on their device and are read in wide blocks of columns. What is small, such as the Gram matrix and
all that follows from it, is on the CPU: one read-back each instead of a wait for every number that decides something.

Precision. Inner products are accumulated in float64, chunk by chunk; float64 rows are first scaled by a power of two,
so very large and very small gradients neither overflow nor vanish, and scaling a row changes no angle. Eqs. (1) and
(5) define angles as arccos of the clamped cosine. Near 0 and pi that loses half of the digits: a rounding error of
1e-16 in the cosine is 1e-8 rad. There we use the equal expression 2 atan2(|a - b|, |a + b|) of the unit vectors a and
b, good to about 1e-15 rad. `_GUARD` absorbs what rounding is left where a comparison decides.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gapslsim.learning._layout import sent
from gapslsim.learning._limits import exact_place, limits_for
from gapslsim.learning._powers import exponents_of, scaled, times_power
from gapslsim.learning.gradient_rows import Rows, blocks_of, rows_of

__all__ = [
    "Gram", "admit", "alignment_threshold", "angles_to", "angles_to_leader", "consistency_scores",
    "dispersion", "gram", "leader_count", "leader_gradient", "leader_set", "nearest", "norms", "pairwise_angles",
    "penalty", "penalty_gradient", "selection_ratio", "steer_term",
]  # fmt: skip

_GUARD = 1e-9
"""Differences up to this count as rounding: in ties of scores [rad], admission [rad], nu_max - nu_min [rad], K_t S."""

_ROWS = 4
"""Rows of zeros make their number a multiple of this: matrix products of other heights take up to twice as long."""

_CANCELLED = 1e-4
"""Below this, relative to the largest squared norm, the leader's squared norm is not taken from the Gram matrix."""

_NEARLY_PARALLEL = 1e-4
"""Where 1 - |cos| is below this, arccos is replaced by the stable expression."""


_Values = Float[Tensor, "*#n"]
"""Of shapes that broadcast to one another."""


class Gram(NamedTuple):
    """Inner products of all pairs of gradients, on the CPU; norms and angles follow without reading those again."""

    products: Float[Tensor, "S S"]
    """g_i . g_j, each row divided by its power of two, float64; the diagonal holds the squared norms."""
    exponents: Int[Tensor, " S"]
    """Powers of two that the rows were divided by."""


def gram(gradients: Rows) -> Gram:
    """Inner products of all pairs of rows in float64."""
    exponents = exponents_of(gradients)
    n, d = gradients.shape
    padded = -(-n // _ROWS) * _ROWS
    at_once = limits_for(gradients.device).columns(padded)
    products = torch.zeros(padded, padded, dtype=torch.float64, device=exact_place(gradients.device))
    rows = products.new_empty(padded, min(d, at_once))
    rows[n:] = 0.0
    is_scaled = bool(exponents.any())
    for chunk in blocks_of(gradients, at_once):
        part = rows[:, : chunk.shape[1]]
        # Copied into one buffer: float32 rows become float64 here, a chunk at a time, never as a whole
        # matrix.
        part[:n] = scaled(chunk, exponents) if is_scaled else chunk
        products.addmm_(part, part.T)
    return Gram(products[:n, :n].cpu(), exponents)


def norms(known: Gram) -> Float[Tensor, " S"]:
    """Euclidean norms |g_i| of the gradients, float64 [S]; infinite only where float64 cannot hold them."""
    # The powers of two come back last: before the root the squares of large gradients would overflow.
    return times_power(known.products.diagonal().sqrt(), known.exponents)


def pairwise_angles(gradients: Rows, known: Gram | None = None) -> Float[Tensor, "S S"]:
    """Angles between all pairs of gradients, the terms of Eq. (1), from their Gram matrix.

    Args:
        gradients: g_i as rows.
        known: their Gram matrix, if it is there already.

    Returns:
        Symmetric matrix of angles in [0, pi], float64; the diagonal is 0. A zero gradient has pi/2 to every other.
    """
    products, exponents = known or gram(gradients)
    lengths = products.diagonal().sqrt()
    angles = _angles(products, lengths[:, None], lengths[None, :])
    # The upper triangle alone: each pair once, and the diagonal, which is always doubtful, not at all.
    doubtful = _doubtful(products, lengths[:, None], lengths[None, :]).triu(1)
    # Few pairs are this near to parallel as a rule, so the gradients are read again for those alone.
    for row in doubtful.any(1).nonzero().flatten().tolist():
        others = doubtful[row].nonzero().flatten()
        one = gradients[row], exponents[row], lengths[row]
        angles[row, others] = _stable_angles(
            *one, rows_of(gradients, others.tolist()), exponents[others], lengths[others]
        )
    # Mirrored, so that the matrix is symmetric to the last bit whatever the product rounded.
    upper = angles.triu(1)
    return upper + upper.T


def angles_to_leader(gradients: Rows, known: Gram, leaders: Bool[Tensor, " S"]) -> Float[Tensor, " S"]:
    """Angles to the leader gradient, Eq. (5), from the Gram matrix.

    The product g_i . g_lead is the mean of g_i . g_j over the leaders. Where the leaders nearly cancel, or the rows
    were scaled, the leader gradient is made and the products with it are taken.

    Args:
        gradients: g_i as rows.
        known: their Gram matrix.
        leaders: the leader set.
    """
    products = known.products
    # <g_i, g_lead> and, two lines on, |g_lead|^2 by linearity of Eq. (4): no pass over the d parameters.
    dots = products[:, leaders].mean(1)
    square = dots[leaders].mean()
    # Where leaders nearly cancel, |g_lead|^2 is a small difference of large products. Rows that were divided
    # by unlike powers of two cannot be averaged at all. Written with `not`, so that NaN goes the safe way.
    if bool(known.exponents.any()) or not bool(square > _CANCELLED * products.diagonal().amax()):
        return angles_to(gradients, leader_gradient(gradients, leaders))
    lengths, length = products.diagonal().sqrt(), square.sqrt()[None]
    angles = _angles(dots, lengths, length)
    near = _doubtful(dots, lengths, length).nonzero().flatten()
    if len(near):
        leader = leader_gradient(gradients, leaders)
        # The length is that of the scaled leader, as `_stable_angles` wants it; the one above was not scaled.
        line = exponents_of(leader[None])
        length = scaled(leader[None], line).norm()
        of_near = rows_of(gradients, near.tolist()), known.exponents[near], lengths[near]
        angles[near] = _stable_angles(leader, line[0], length, *of_near)
    return angles


def angles_to(gradients: Rows, leader: Float[Tensor, " d"]) -> Float[Tensor, " S"]:
    """Angles to the leader gradient, Eq. (5).

    Args:
        gradients: g_i as rows.
        leader: g_lead.

    Returns:
        theta_lead_i in [0, pi], float64; pi/2 where one of the two is zero.
    """
    rows, line = exponents_of(gradients), exponents_of(leader[None])
    n, place = len(gradients), exact_place(gradients.device)
    # Together, for one read-back: the dot products, the squares of the rows, that of the leader.
    sums = torch.zeros(2 * n + 1, dtype=torch.float64, device=place)
    dots, squares, square = torch.split(sums, [n, n, 1])
    at_once = limits_for(gradients.device).columns(n)
    blocks = zip(blocks_of(gradients, at_once), torch.split(leader, at_once), strict=True)
    for block, of_leader in blocks:
        chunk, lead = scaled(block, rows), scaled(of_leader[None], line)
        dots += chunk @ lead[0]
        squares += chunk.square().sum(1)
        square += lead.square().sum(1)
    dots, squares, square = torch.split(sums.cpu(), [n, n, 1])
    lengths, length = squares.sqrt(), square.sqrt()
    angles = _angles(dots, lengths, length)
    near = _doubtful(dots, lengths, length).nonzero().flatten()
    if len(near):
        of_near = rows_of(gradients, near.tolist()), rows[near], lengths[near]
        angles[near] = _stable_angles(leader, line[0], length[0], *of_near)
    return angles


def consistency_scores(angles: Float[Tensor, "S S"]) -> Float[Tensor, " S"]:
    """Mean angle of each gradient to all the others, Eq. (1); lower is more consistent.

    Args:
        angles: from `pairwise_angles`.

    Returns:
        theta_i in [0, pi]; 0 for a single client (our reading: the mean over nobody).
    """
    n = len(angles)
    if n == 1:
        return torch.zeros_like(angles[0])
    # Rounding of the sum may lie a bit beyond the range of an angle; later stages take it for one.
    return ((angles.sum(1) - angles.diagonal()) / (n - 1)).clamp(0.0, math.pi)


def dispersion(scores: Float[Tensor, " S"]) -> float:
    """nu(theta): population standard deviation of the consistency scores [rad]."""
    # Population, not sample: the clients are all there are, and one client must give 0, not NaN.
    return float(scores.std(correction=0))


def selection_ratio(
    dispersion: float,
    lowest: float,
    highest: float,
    round: int,
    planned_rounds: int,
    k_min: float,
    k_max: float,
) -> float:
    """Share of the clients in the leader set, Eq. (2).

    Args:
        dispersion: nu(theta) of this round [rad].
        lowest: nu_min, the least dispersion up to and including this round [rad].
        highest: nu_max, the greatest [rad].
        round: t, from 1; past `planned_rounds` the ratio t/T stays 1.
        planned_rounds: T.
        k_min: K_min.
        k_max: K_max.

    Returns:
        K_t in [k_min, k_max]. Where nu_max equals nu_min (up to `_GUARD`) the stability factor is 1 (our reading).

    Raises:
        ValueError: if not 0 < k_min <= k_max <= 1 or a round number is below 1.
    """
    if not 0 < k_min <= k_max <= 1:
        raise ValueError(f"k_min and k_max must hold 0 < k_min <= k_max <= 1; found {k_min} and {k_max}.")
    if round < 1 or planned_rounds < 1:
        raise ValueError(f"round and planned_rounds must be at least 1; found {round} and {planned_rounds}.")
    spread = highest - lowest
    stability = 1.0 if spread <= _GUARD else min(max((highest - dispersion) / spread, 0.0), 1.0)
    ratio = k_min + min(round / planned_rounds, 1.0) * stability * (k_max - k_min)
    # k_min + 1.0 * (k_max - k_min) need not be k_max in floating point.
    return min(max(ratio, k_min), k_max)


def leader_count(ratio: float, n_clients: int) -> int:
    """Size of the leader set in Eq. (3), ceil(K_t S), guarded against float noise: 0.2 * 10 gives 2, not 3."""
    return min(max(math.ceil(ratio * n_clients - _GUARD), 1), n_clients)


def leader_set(scores: Float[Tensor, " S"], count: int) -> Bool[Tensor, " S"]:
    """Who is in the leader set, Eq. (3): the `count` clients with the lowest scores.

    Scores that differ by no more than `_GUARD` from the next lower one are tied; ties go to the lower client index.
    """
    # Ranks, not the scores themselves, are sorted again: among equal ranks only the index can decide.
    values, order = scores.sort(stable=True)
    rank = torch.zeros_like(order)
    rank[1:] = (values.diff() > _GUARD).cumsum(0)
    tied = torch.empty_like(rank)
    tied[order] = rank
    leaders = torch.zeros_like(scores, dtype=torch.bool)
    leaders[tied.sort(stable=True).indices[:count]] = True
    return leaders


def leader_gradient(gradients: Rows, leaders: Bool[Tensor, " S"]) -> Float[Tensor, " d"]:
    """Leader gradient g_lead, the mean over the leader set, Eq. (4), in float64.

    Raises:
        ValueError: if the leader set is empty.
    """
    chosen = leaders.nonzero().flatten()
    if not len(chosen):
        raise ValueError("The leader set is empty; it needs at least one client.")
    # One power for all rows: a mean is taken of them, which unlike powers would weigh unlike.
    common = exponents_of(gradients)[chosen].amax().expand(len(chosen))
    at_once = limits_for(gradients.device).columns(len(chosen))
    blocks = blocks_of(gradients, at_once, chosen.tolist())
    mean = torch.cat([scaled(block, common).mean(0) for block in blocks])
    return times_power(mean, common[:1])


def alignment_threshold(angles: Float[Tensor, " S"], eta: float) -> float:
    """Adaptive angle threshold theta_th, Eq. (6) [rad].

    Args:
        angles: theta_lead_i, from `angles_to`.
        eta: how many standard deviations below the mean angle; above it if negative.

    Returns:
        mean(theta_lead) - eta std(theta_lead), clamped to [0, pi/2].
    """
    return max(min(float(angles.mean() - eta * angles.std(correction=0)), math.pi / 2), 0.0)


def admit(angles: Float[Tensor, " S"], threshold: float) -> Bool[Tensor, " S"]:
    """Which clients are admitted: theta_lead_i <= theta_th, up to `_GUARD`.

    The guard keeps equal angles from being told apart by the rounding of their mean.
    """
    return angles <= threshold + _GUARD


def nearest(angles: Float[Tensor, " S"]) -> Bool[Tensor, " S"]:
    """The single client with the smallest angle to the leader; ties as in `leader_set`."""
    return leader_set(angles, 1)


def penalty(angles: Float[Tensor, " S"], weight: float) -> Float[Tensor, " S"]:
    """Regulariser of Eq. (7): lambda (1 - cos theta_lead_i).

    Computed as 2 lambda sin^2(theta/2), the same without cancellation near 0.
    """
    return 2.0 * weight * (angles / 2).sin().square()


def penalty_gradient(gradient: Float[Tensor, " d"], leader: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    """Derivative of 1 - cos theta_lead_i by g_i with g_lead constant, for the exact derivative of Eq. (7).

    Equals -(u - cos(theta) n)/|g_i| with u and n the unit vectors of leader and gradient. The chain rule makes the
    derivative of Eq. (7) with respect to the parameters g_i + lambda H_i v, where v is this vector and H_i the
    Hessian of L_i.

    Returns:
        float64 [d]; zero where gradient or leader is zero.
    """
    turn, length = _turn(gradient, leader)
    return torch.where(length > 0, -turn / length, 0.0)


def steer_term(gradient: Float[Tensor, " d"], leader: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    """Negative penalty gradient, rescaled to the length of g_i: |g_i| (u - cos(theta) n).

    Not in the source: our first-order option `gradient: steer`. Perpendicular to g_i, of length |g_i| sin(theta).

    Returns:
        float64 [d]; zero where gradient or leader is zero.
    """
    turn, length = _turn(gradient, leader)
    return turn * length


def _turn(
    gradient: Float[Tensor, " d"], leader: Float[Tensor, " d"]
) -> tuple[Float[Tensor, " d"], Float[Tensor, ""]]:
    """The vector u - cos(theta) n, and |g_i|; zeros where one of the two vectors is zero."""
    # Both are scaled to about 1 first, so that neither length over- nor underflows.
    exponent = exponents_of(gradient[None])
    (unit,) = scaled(gradient[None], exponent)
    (lead,) = scaled(leader[None], exponents_of(leader[None]))
    scaled_length, lead_length = unit.norm(), lead.norm()
    # Chosen by `where`: an `if` would wait for the device, client by client.
    is_zero = (scaled_length == 0) | (lead_length == 0)
    length = torch.where(is_zero, 0.0, times_power(scaled_length, exponent[0]))
    unit, lead = unit / scaled_length, lead / lead_length
    # With w = u - n (or u + n) the same is w - (w.n) n, which keeps its digits where the two are nearly parallel.
    difference = torch.where(lead @ unit > 0, lead - unit, lead + unit)
    return torch.where(is_zero, 0.0, difference - (difference @ unit) * unit), length


def _angles(dots: _Values, left: _Values, right: _Values) -> _Values:
    """Angles as arccos of the clamped cosine; pi/2 where a length is zero. Zero vectors have dot product 0."""
    lengths = left * right
    cosines = dots / torch.where(lengths > 0, lengths, 1.0)
    # Rounding gives cosines such as 1 + 1e-16, whose arccos is NaN.
    return cosines.clamp(-1.0, 1.0).acos()


def _doubtful(dots: _Values, left: _Values, right: _Values) -> Bool[Tensor, "*#n"]:
    """Where arccos of the cosine is too steep to keep its digits; never where a length is zero."""
    lengths = left * right
    return (lengths > 0) & (dots.abs() >= (1 - _NEARLY_PARALLEL) * lengths)


def _stable_angles(
    one: Float[Tensor, " d"],
    exponent: Int[Tensor, ""],
    length: Float[Tensor, ""],
    others: Rows,
    exponents: Int[Tensor, " n"],
    lengths: Float[Tensor, " n"],
) -> Float[Tensor, " n"]:
    """2 atan2(|a - b|, |a + b|) of the unit vectors of `one` and each row of `others`; lengths are of scaled rows."""
    place = exact_place(others.device)
    lengths, minus_plus = (
        sent(lengths, place),
        torch.zeros(2, len(lengths), dtype=torch.float64, device=place),
    )
    at_once = limits_for(others.device).columns(len(others))
    for left, right in zip(torch.split(one, at_once), blocks_of(others, at_once), strict=True):
        a, b = scaled(left[None], exponent[None]) / length, scaled(right, exponents) / lengths[:, None]
        minus_plus[0] += (a - b).square().sum(1)
        minus_plus[1] += (a + b).square().sum(1)
    minus, plus = minus_plus.cpu()
    # atan2 keeps its digits at both ends, where one of the two norms is near 0 (Kahan).
    return 2.0 * torch.atan2(minus.sqrt(), plus.sqrt())
