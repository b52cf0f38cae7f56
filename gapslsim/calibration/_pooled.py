"""Fits coefficients of kinds of layers that were timed together, each kind drawn towards what all have in common.

A network's time is one number for a hundred layers, and some kinds are in one network only. So the logarithm of each
coefficient is a common value plus a deviation of the kind with a normal prior: a kind that the data say little about
keeps the common value, one that they say much about gets its own (maximum a posteriori; Gelman et al., Bayesian
Data Analysis, chapter 5). Coefficients are positive by construction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from gapslsim.calibration._robust import robust_scale
from gapslsim.calibration.samples import Samples
from gapslsim.hardware.terms import Array

__all__ = ["Part", "PooledFit", "fit_pooled"]

_KIND_SD = 0.8
"""Prior standard deviation of a kind's deviation [natural logarithm]: a factor of 2.2 either way."""
_COMMON_SD = 3.0
_LEAST_SCALE = 0.02
_FIRST_SCALE = 0.15


@dataclass(frozen=True)
class Part:
    """One way in which layers take time: an amount per layer, a coefficient per label of it."""

    name: str
    amount: Array
    """Per layer."""
    common: Collection[str]
    """Label per layer of the common value (the phase, or '')."""
    kinds: Collection[str] | None
    """Label per layer of the deviation; None for no deviations."""
    bound: bool = False
    """Whether it competes with the other bounds (the larger counts) instead of adding up."""


@dataclass(frozen=True)
class PooledFit:
    """Coefficients [seconds per unit] with standard errors."""

    common: dict[tuple[str, str], tuple[float, float]]
    """By part and label."""
    factors: dict[tuple[str, str], tuple[float, float]]
    """exp(deviation) and its standard error, by part and kind."""

    def value(self, part: str, common: str, kind: str) -> tuple[float, float]:
        """Coefficient of a kind and its standard error."""
        base, base_error = self.common[part, common]
        factor, error = self.factors.get((part, kind), (1.0, 0.0))
        relative = float(np.hypot(base_error / base, error / factor))
        return base * factor, base * factor * relative


def fit_pooled(samples: Samples, parts: Sequence[Part]) -> PooledFit:
    """Minimises soft-L1 of relative errors plus the priors."""
    problem = _Problem(samples, parts)
    scale = _FIRST_SCALE
    at = np.zeros(problem.n)
    # Scale and coefficients depend on one another, so they are found in turn.
    for _ in range(3):
        at = problem.solve(at, scale)
        residual = problem.predict(at)[0] / samples.seconds - 1
        scale = max(robust_scale(residual), _LEAST_SCALE)
    return problem.result(at, scale)


class _Problem:
    """Parameters: logarithm of each common value over its start, then each deviation."""

    def __init__(self, samples: Samples, parts: Sequence[Part]) -> None:
        self._samples = samples
        self._parts = parts
        self._sample = samples.layers["sample"].to_numpy()
        self._count = samples.layers["count"].to_numpy(np.float64)
        self._names: list[tuple[int, str, str]] = []
        self._columns: list[list[NDArray[np.int64]]] = []
        self._start: list[Array] = []
        n_bounds = max(1, sum(part.bound for part in parts))
        for number, part in enumerate(parts):
            total = samples.total(part.amount)
            seen = total > 0
            # if this part alone took its share of every sample's time
            typical = float(np.median(samples.seconds[seen] / total[seen])) if seen.any() else 1e-12
            # Parts that add up share the time; of bounds only the largest counts, so each starts with all of
            # it.
            self._start.append(part.amount * typical / (1 if part.bound else 2 * n_bounds))
            columns = [self._label(number, "common", part.common)]
            if part.kinds is not None:
                columns.append(self._label(number, "kind", part.kinds))
            self._columns.append(columns)
        self.n = len(self._names)
        self._sd = np.array([_COMMON_SD if which == "common" else _KIND_SD for _, which, _ in self._names])

    def _label(self, number: int, which: str, labels: Collection[str]) -> NDArray[np.int64]:
        known = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        first = len(self._names)
        self._names += [(number, which, label) for label in known]
        return np.array([first + known[label] for label in labels])

    def _layers(self, at: Array) -> list[Array]:
        """Seconds that each part contributes to each layer."""
        values = [
            start * np.exp(np.clip(sum((at[column] for column in columns), np.zeros(1)), -30, 30))
            for start, columns in zip(self._start, self._columns, strict=True)
        ]
        bounds = [i for i, part in enumerate(self._parts) if part.bound]
        if len(bounds) > 1:
            # Gradients flow to the bound that holds, as the derivative of a maximum does.
            largest = np.argmax(np.stack([values[i] for i in bounds]), axis=0)
            for place, i in enumerate(bounds):
                values[i] = np.where(largest == place, values[i], 0.0)
        return [value * self._count for value in values]

    def predict(self, at: Array) -> tuple[Array, Array]:
        """Seconds of each sample, and their derivatives, shape (n, parameters)."""
        seconds = np.zeros(len(self._samples))
        slope = np.zeros((len(self._samples), self.n))
        for value, columns in zip(self._layers(at), self._columns, strict=True):
            # `add.at`, not `+=`: several layers belong to one sample, of which `+=` would keep the last.
            np.add.at(seconds, self._sample, value)
            for column in columns:
                np.add.at(slope, (self._sample, column), value)
        return seconds, slope

    def solve(self, start: Array, scale: float) -> Array:
        measured, n = self._samples.seconds, len(self._samples)

        def residuals(at: Array) -> Array:
            data = (self.predict(at)[0] / measured - 1) / scale
            return np.concatenate([data, at / self._sd])

        def slopes(at: Array) -> Array:
            data = self.predict(at)[1] / (measured[:, None] * scale)
            return np.concatenate([data, np.diag(1 / self._sd)])

        def soft(square: Array) -> Array:
            rho = np.stack([square, np.ones_like(square), np.zeros_like(square)])
            # Soft-L1 for the data and plain squares for the priors, which must not be taken for outliers.
            root = np.sqrt(1 + square[:n])
            rho[:, :n] = 2 * (root - 1), 1 / root, -0.5 / root**3
            return rho

        found = least_squares(residuals, start, slopes, loss=soft, max_nfev=80, xtol=1e-6, ftol=1e-7)
        made: Array = found.x
        return made

    def result(self, at: Array, scale: float) -> PooledFit:
        seconds, slope = self.predict(at)
        residual = (seconds / self._samples.seconds - 1) / scale
        weight = 1 / np.sqrt(1 + residual**2)
        relative = slope / (self._samples.seconds[:, None] * scale) * np.sqrt(weight)[:, None]
        # Laplace's approximation at the optimum; the priors make it invertible.
        covariance = np.linalg.inv(relative.T @ relative + np.diag(self._sd**-2.0))
        errors = np.sqrt(np.diag(covariance))
        common, factors = {}, {}
        for (number, which, label), value, error in zip(self._names, at, errors, strict=True):
            part, amount = self._parts[number], self._start[number]
            grown = float(np.exp(value))
            if which == "kind":
                factors[part.name, label] = (grown, grown * float(error))
                continue
            seen = part.amount > 0
            # Start over amount is one number for all layers: the coefficient at deviation 0.
            unit = float((amount[seen] / part.amount[seen])[0]) if seen.any() else 0.0
            common[part.name, label] = (unit * grown, unit * grown * float(error))
        return PooledFit(common, factors)
