"""Distance correlation of two samples that belong together: 0 where they are independent."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

__all__ = ["corrected_distance_correlation", "distance_correlation", "distances"]


def distances(samples: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n n"]:
    """Euclidean distance of every two samples, float64; of tokens that of their one-hot codes.

    Args:
        samples: numbers, or tokens as int64.
    """
    rows = samples.flatten(1)
    if not rows.is_floating_point():
        unlike = torch.stack([(rows != row).sum(1) for row in rows])
        return (2.0 * unlike.double()).sqrt()
    # From inner products: differences of all pairs at once would take n^2 d numbers.
    rows = rows.double()
    rows = rows - rows.mean(0)
    squares = (rows * rows).sum(1)
    found = (squares[:, None] + squares[None, :] - 2 * rows @ rows.T).clamp_min(0.0)
    return found.fill_diagonal_(0.0).sqrt()


def distance_correlation(a: Float[Tensor, "n n"], b: Float[Tensor, "n n"]) -> float:
    """Sample distance correlation R_n, Definition 5 of [szekely2007]; too large, the more so the more dimensions.

    Args:
        a: distances between the samples of one quantity, see `distances`.
        b: between those of the other, in the same order.

    Returns:
        In [0, 1]: 1 where one is a shifted, scaled and turned copy of the other; 0 if one is constant.
    """
    return _root(
        _correlation(*(each - each.mean(0) - each.mean(1)[:, None] + each.mean() for each in (a, b)))
    )


def corrected_distance_correlation(a: Float[Tensor, "n n"], b: Float[Tensor, "n n"]) -> float:
    """Bias-corrected distance correlation: the root of R*_n of [szekely2013], with its sign.

    R*_n estimates the square of the distance correlation and is 0 on average where the two are independent, so that it
    may be negative. U-centred as in [szekely2014].

    Args:
        a: distances between 4 samples or more of one quantity, see `distances`.
        b: between those of the other, in the same order.

    Returns:
        In [-1, 1].
    """
    return _root(_correlation(_u_centred(a), _u_centred(b)))


def _u_centred(a: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    n = len(a)
    sums = a.sum(0) / (n - 2)
    return (a - sums[None, :] - sums[:, None] + a.sum() / ((n - 1) * (n - 2))).fill_diagonal_(0.0)


def _correlation(a: Float[Tensor, "n n"], b: Float[Tensor, "n n"]) -> float:
    spread = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return max(-1.0, min(1.0, float((a * b).sum()) / spread)) if spread > 0 else 0.0


def _root(square: float) -> float:
    return math.copysign(math.sqrt(abs(square)), square)
