"""Robust relative-error regression with coefficients that are 0 or more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gapslsim.hardware.terms import Array

__all__ = ["Fit", "fit_nonnegative", "fit_relative", "robust_scale"]

_HUBER = 1.345
"""In robust standard deviations: 95 % efficient on normal errors (Huber 1981)."""
_GROSS = 5.0
"""Residuals beyond this many robust standard deviations are gross errors and set aside."""
_LEAST_SCALE = 1e-6
_PROPORTIONAL = 1e-12
"""Unit columns that differ by less are one and the same."""


@dataclass(frozen=True)
class Fit:
    """A fitted linear model."""

    coefficients: Array
    standard_errors: Array
    """0 for coefficients at the bound 0."""
    scale: float
    """Robust standard deviation of the relative error."""
    outliers: NDArray[np.bool_]
    """Which measurements were set aside as gross errors."""


def fit_nonnegative(design: Array, seconds: Array, n_steps: int = 25) -> Fit:
    """Minimises Huber's loss of relative errors (t - X c) / (X c) with c >= 0.

    Iteratively reweighted non-negative least squares. Errors are relative to the prediction of the step before, not
    to the measurement: relative to the measurement, noise would pull the coefficients down by 1.5 of its variance.
    Errors of more than five robust standard deviations are set aside once the fit has settled, then it settles again.
    Standard errors are those of Huber's M-estimator at the coefficients above 0 (Huber 1981, section 7.6). Of terms
    that are proportional to each other in all measurements, which no measurement tells apart, the last one takes all.

    Args:
        design: amounts of each term, shape (n, k).
        seconds: measured times, shape (n,).
        n_steps: reweightings before and after setting aside.
    """
    # FLOP are 1e9 times as many as calls: scaled, or the solver loses the small coefficients.
    norms = np.abs(design / seconds[:, None]).max(axis=0, initial=0.0)
    norms[norms == 0] = 1.0
    scaled = np.where(_repeated(design / norms), 0.0, design / norms)
    kept = np.ones(len(seconds), dtype=bool)
    base = seconds.copy()
    coefficients = np.zeros(design.shape[1])
    weight = np.ones(len(seconds))
    scale = 1.0
    # Gross errors are told by a fit that has settled; thrown out earlier, a bad start would decide what is
    # one.
    for aside in (False, True):
        for _ in range(n_steps):
            root = np.sqrt(weight[kept]) / base[kept]
            new = _nonnegative(scaled[kept] * root[:, None], seconds[kept] * root)
            predicted = scaled @ new
            # A prediction near 0 would give its measurement an endless weight.
            base = np.maximum(predicted, 0.05 * seconds)
            residual = (seconds - predicted) / base
            scale = robust_scale(residual[kept])
            # Huber's weight: 1 near 0, then falling as 1 / |residual|.
            weight = 1.0 / np.maximum(np.abs(residual) / (_HUBER * scale), 1.0)
            settled = np.allclose(new, coefficients, rtol=1e-5, atol=1e-14)
            coefficients = new
            if settled:
                break
        if not aside:
            kept = np.abs(residual) <= _GROSS * scale
            # Nothing to set aside, or too little left to fit: the first fit stands.
            if kept.all() or kept.sum() <= design.shape[1] + 2:
                kept[:] = True
                break
    errors = _standard_errors(scaled[kept], base[kept], residual[kept], coefficients, scale)
    return Fit(coefficients / norms, errors / norms, scale, ~kept)


def fit_relative(design: Array, seconds: Array, n_steps: int = 25) -> Fit:
    """Least squares of errors relative to the measurement, (t - X c) / t with c >= 0; gross errors set aside.

    Noise draws the coefficients down, as it does to what has the least mean relative error: small and fast
    computations count most. That is right for a line that leads beyond the measurements (see docs/calibration.md).
    """
    robust = fit_nonnegative(design, seconds, n_steps)
    norms = np.abs(design / seconds[:, None]).max(axis=0, initial=0.0)
    norms[norms == 0] = 1.0
    scaled = np.where(_repeated(design / norms), 0.0, design / norms)
    # A factor of 3 is a floor: where most are close to a line, what is merely less close is no error.
    off = np.abs(np.log(np.maximum(design @ robust.coefficients, 1e-12) / seconds))
    kept = off <= max(np.log(3.0), _GROSS * robust.scale)
    coefficients = _nonnegative(scaled[kept] / seconds[kept, None], np.ones(int(kept.sum())))
    residual = 1 - scaled[kept] @ coefficients / seconds[kept]
    scale = robust_scale(residual)
    errors = _standard_errors(scaled[kept], seconds[kept], residual, coefficients, np.inf)
    return Fit(coefficients / norms, errors / norms, scale, ~kept)


def _repeated(scaled: Array) -> NDArray[np.bool_]:
    """Which columns are proportional to a later one; least squares would choose among them by rounding."""
    lengths = np.linalg.norm(scaled, axis=0)
    directions = scaled / np.where(lengths == 0, 1.0, lengths)
    apart = np.abs(directions[:, :, None] - directions[:, None, :]).max(axis=0, initial=0.0)
    repeated: NDArray[np.bool_] = np.triu(apart < _PROPORTIONAL, k=1).any(axis=1)
    return repeated


def _nonnegative(design: Array, target: Array) -> Array:
    """Non-negative least squares; a QR decomposition first makes the problem as small as it has unknowns."""
    k = design.shape[1]
    # The active-set solver walks over all rows at each step; after QR there are k of them.
    if len(target) > 2 * k:
        reduced: Array = np.asarray(np.linalg.qr(np.column_stack([design, target]), mode="r"))
        design, target = reduced[:, :k], reduced[:, k]
    found: Array = nnls(design, target, maxiter=50 * k)[0]
    return found


def robust_scale(residual: Array) -> float:
    """Standard deviation from the median absolute residual, as of a normal distribution."""
    return max(1.4826 * float(np.median(np.abs(residual))), _LEAST_SCALE)


def _standard_errors(design: Array, base: Array, residual: Array, coefficients: Array, scale: float) -> Array:
    errors = np.zeros(len(coefficients))
    free = coefficients > 0
    n, k = len(base), int(free.sum())
    if k == 0 or n <= k:
        return errors
    relative = design[:, free] / base[:, None]
    psi = np.clip(residual, -_HUBER * scale, _HUBER * scale)
    # Share of residuals where psi is linear: the mean of its derivative, in the denominator squared.
    inner = float((np.abs(residual) < _HUBER * scale).mean())
    variance = float((psi**2).sum()) / (n - k) / max(inner, 0.1) ** 2
    # Pseudo-inverse: terms that stay nearly proportional must not end the calibration.
    covariance = variance * np.linalg.pinv(relative.T @ relative)
    errors[free] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return errors
