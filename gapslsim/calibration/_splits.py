"""Finds where the times of a kind of layer change at once: a cache that overflows, a kernel picked by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np

from gapslsim.calibration._figures import six
from gapslsim.hardware.cost_models.lookup import Split
from gapslsim.hardware.kriging import Coordinate, size
from gapslsim.hardware.terms import Array

__all__ = ["find_splits"]

_SIZES: Sequence[Coordinate] = [name for name in get_args(Coordinate) if name != "trend"]
_MOST = 4
_LEAST_SIDE = 8
"""Points on either side of a split."""
_PRICE = 4.0
"""Times log n, which log likelihood (doubled) must gain: a threshold is one of many that were looked at."""
_GROSS = 3.0


def find_splits(columns: Mapping[str, Array], values: Array) -> tuple[Split, ...]:
    """Thresholds of sizes that explain most of the values, one after the other while each is worth it.

    A regression tree's greedy search (Breiman et al. 1984), but each split is of all points, so that splits add up. The
    price is that of the Bayesian information criterion with six parameters per split.

    Args:
        columns: costs of the points.
        values: what is to be explained: logarithms of measured over expected times.
    """
    ones = np.ones(len(values))
    sizes = {name: size(name, columns, ones) for name in _SIZES}
    design, rest, found = ones[:, None], values - np.median(values), []
    for _ in range(_MOST):
        # Outliers are drawn in, or the one furthest off would be split away.
        limit = _GROSS * 1.4826 * float(np.median(np.abs(rest)))
        clipped = np.clip(rest, -limit, limit)
        gain, name, above = max(
            (_best(sizes[name], clipped, name) for name in _SIZES), key=lambda best: best[0]
        )
        total = float(((clipped - clipped.mean()) ** 2).sum())
        if gain <= 0 or -len(rest) * np.log(1 - gain / total) < _PRICE * np.log(len(rest)):
            break
        found.append(Split(quantity=name, above=six(above)))
        design = np.column_stack([design, sizes[name] > above])
        # All levels anew: the first one was found while the others were not known.
        rest = values - design @ np.linalg.lstsq(design, values)[0]
    return tuple(found)


def _best(amount: Array, values: Array, name: Coordinate) -> tuple[float, Coordinate, float]:
    """Drop of the sum of squares at the best threshold (0 if there is none), and the threshold."""
    order = np.argsort(amount, kind="stable")
    amount, values = amount[order], values[order] - values.mean()
    below = np.arange(1, len(values))
    # Of two halves with sums s and -s: the drop is s^2 / n1 + s^2 / n2.
    drop = np.cumsum(values)[:-1] ** 2 * (1 / below + 1 / (len(values) - below))
    # Sizes are computed by divisions: values that differ in the last digit are one size.
    apart = amount[1:] > amount[:-1] * (1 + 1e-6)
    allowed = apart & (np.minimum(below, len(values) - below) >= _LEAST_SIDE)
    if not allowed.any():
        return 0.0, name, 0.0
    at = int(np.argmax(np.where(allowed, drop, 0.0)))
    return float(drop[at]), name, float(np.sqrt(amount[at] * amount[at + 1]))
