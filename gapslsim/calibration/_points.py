"""Fits the interpolation of a lookup: length scales and noise, by the likelihood of the measured points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from gapslsim.calibration._figures import six
from gapslsim.calibration._splits import find_splits
from gapslsim.calibration.samples import Samples
from gapslsim.hardware.cost_models.lookup import Interpolation, Split
from gapslsim.hardware.grouped import Trend
from gapslsim.hardware.kriging import Coordinate, places
from gapslsim.hardware.terms import COST_COLUMNS, Array

__all__ = ["LEAST_POINTS", "fit_interpolations"]

LEAST_POINTS = 30
"""Fewer points are not interpolated."""
_MAX_POINTS = 1000
"""Points that are kept."""
_MAX_SEARCH = 300
"""Points from which length scales and noise are found: the search is cubic in them."""
_SYSTEMS: tuple[tuple[Coordinate, ...], ...] = (
    ("trend", "parameter", "activation", "sample_input"),
    ("trend", "parameter", "activation", "batch_size", "other_byte"),
    ("batch_size", "sample_input", "depth", "width"),
    ("batch_size", "reuse", "parameter", "activation", "other_byte"),
)
"""Coordinates that are tried."""
_KEPT = 2
_GROSS = 4.0
_PRIOR = {"amplitude": 0.2, "length": 3.0, "noise": 0.1, "noise_s": 0.05}
"""Centres of the lognormal priors (standard deviation 1): of the logarithm, or of standardised coordinates."""
_FLOOR = 1e-3


def fit_interpolations(samples: Samples, trend: Trend) -> dict[str, Any]:
    """Settings `interpolations`, `splits` and `points` of a group.

    Points that are far from the trend (three times, and more than most) are gross errors and left out. Of more than
    1000 points, 1000 are drawn. Of the systems of coordinates, the two under which each point is likeliest given the
    others are kept; their mean is steadier than either. Splits are kept if they make the points likelier still.
    """
    drawn = np.random.default_rng(0).permutation(len(samples))
    points = samples.take(np.sort(drawn[:_MAX_POINTS]))
    columns = points.columns()
    # A trend may be 0 where all its terms are; its logarithm is taken next.
    base = np.maximum(trend.seconds(columns), 1e-12)
    values = np.log(points.seconds / base)
    far = np.abs(values - np.median(values))
    # 1.4826 makes the median deviation that of a normal distribution. The factor of 3 is a floor: where the
    # trend is very good, what is merely less good is no error.
    fine = far <= max(np.log(3.0), _GROSS * 1.4826 * float(np.median(far)))
    columns = {name: column[fine] for name, column in columns.items()}
    base, values, seconds = base[fine], values[fine], points.seconds[fine]
    some = np.sort(np.random.default_rng(0).permutation(len(values))[:_MAX_SEARCH])

    def fitted(names: Sequence[Coordinate], splits: Sequence[Split]) -> tuple[float, Interpolation]:
        at = places(names, (*trend.jumps, *splits), columns, base)
        return _fit(names, at[some], values[some], base[some])

    found = sorted((fitted(names, ()) for names in _SYSTEMS), key=lambda pair: -pair[0])[:_KEPT]
    splits = find_splits(columns, values)
    if splits:
        split = [fitted(made.coordinates, splits) for _, made in found]
        better = sum(density for density, _ in split) > sum(density for density, _ in found)
        found, splits = (split, splits) if better else (found, ())
    table = np.column_stack([*(columns[name] for name in COST_COLUMNS), seconds])
    return {
        "interpolations": tuple(made for _, made in found),
        "splits": splits,
        "points": tuple(tuple(row) for row in table.tolist()),
    }


def _fit(names: Sequence[Coordinate], at: Array, values: Array, base: Array) -> tuple[float, Interpolation]:
    """Maximum a posteriori length scales and noise; coordinates are standardised first.

    Returns:
        The mean log density of each point given the others, and the interpolation.
    """
    # A coordinate that never changes has no spread to divide by.
    spread = np.maximum(at.std(axis=0), _FLOOR)
    scaled = at / spread
    distance = (scaled[:, None] - scaled[None]) ** 2
    n, d = scaled.shape
    # Noise in seconds is fitted relative to the median time, so that its prior has one scale for all devices.
    middle = float(np.median(base))
    relative = (middle / base) ** 2
    centre = np.log(
        np.r_[_PRIOR["amplitude"], np.full(d, _PRIOR["length"]), _PRIOR["noise"], _PRIOR["noise_s"]]
    )

    def parts(log: Array) -> tuple[float, Array, float, float]:
        square, noise, noise_s = (float(np.exp(2 * value)) for value in log[[0, -2, -1]])
        return square, np.exp(-2 * log[1:-2]), noise, noise_s

    def objective(log: Array) -> tuple[float, Array]:
        square, weight, noise, noise_s = parts(log)
        smooth = square * np.exp(-0.5 * distance @ weight)
        try:
            factor = cho_factor(smooth + np.diag(noise + noise_s * relative + 1e-9), lower=True)
        # A step of the search may leave what can be factorised; a large value sends it back.
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(log)
        alpha = cho_solve(factor, values)
        # d(log likelihood)/d theta = -0.5 tr((K^-1 - a a^T) dK/d theta), Rasmussen and Williams 2006, Eq.
        # (5.9).
        inner = cho_solve(factor, np.eye(n)) - np.outer(alpha, alpha)
        loss = 0.5 * float(values @ alpha) + float(np.log(np.diag(factor[0])).sum())
        slope = np.empty_like(log)
        weighted = inner * smooth
        slope[0] = weighted.sum()
        slope[1:-2] = 0.5 * np.einsum("ij,ijk->k", weighted, distance) * weight
        diagonal = np.diag(inner)
        slope[-2] = noise * diagonal.sum()
        slope[-1] = noise_s * float(diagonal @ relative)
        # The lognormal prior, which keeps length scales finite where a size does not matter.
        off = log - centre
        return loss + 0.5 * float(off @ off), slope + off

    bounds = [(-5.0, 1.0), *([(-1.5, 5.0)] * d), (-6.0, 0.0), (-6.0, 0.0)]
    found = minimize(objective, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
    square, weight, noise, noise_s = parts(found.x)
    covariance = square * np.exp(-0.5 * distance @ weight) + np.diag(noise + noise_s * relative + 1e-9)
    # Leave-one-out in closed form, Rasmussen and Williams 2006, Eqs. (5.10) to (5.12).
    inverse = np.linalg.inv(covariance)
    variance = 1.0 / np.diag(inverse)
    left_out = (inverse @ values) * variance
    density = -0.5 * (left_out**2 / variance + np.log(2 * np.pi * variance))
    return float(density.mean()), Interpolation(
        coordinates=tuple(names),
        length_scales=tuple(six(value) for value in weight**-0.5 * spread),
        amplitude=six(square**0.5),
        noise=six(noise**0.5),
        noise_s=six(noise_s**0.5 * middle),
    )
