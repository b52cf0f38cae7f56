"""Interpolation between measured points by kriging, with noise that depends on the point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from gapslsim.hardware.terms import Array, term

__all__ = ["Coordinate", "Kriging", "places", "size"]

Coordinate = Literal[
    "trend", "work_flop", "parameter", "activation", "batch_size", "other_byte", "sample_input", "reuse",
    "width", "depth", "uses", "use_input", "use_output",
]  # fmt: skip
"""A size whose logarithm is a coordinate: the linear part's own prediction, sizes of the layer's cost, or

sample_input  other_byte per sample (length of a sequence, for an embedding)
width         activations per byte of input (width of an embedding)
depth         parameters over width (rows of an embedding's table)
uses          FLOP per parameter: how often the weights are used (samples times steps of a sequence, or pixels)
use_input     bytes of input per use (inputs of a dense layer, channels of a convolution)
use_output    activations per use
"""
_LARGE = 1e5


def places(
    coordinates: Sequence[str], jumps: Sequence[Any], columns: Mapping[str, Array], trend: Array
) -> Array:
    """Where layers lie: logarithms of the coordinates (of 1 where a size is 0), then 1 or 0 for each jump or split."""
    held = [np.log(np.maximum(size(name, columns, trend), 1e-30)) for name in coordinates]
    held += [jump.passed(columns) for jump in jumps]
    return np.stack(held, axis=1)


def size(name: str, columns: Mapping[str, Array], trend: Array) -> Array:
    """A coordinate of many layers, before its logarithm."""
    if name == "trend":
        return trend
    if name in ("batch_size", "work_flop"):
        return np.where(columns[name] > 0, columns[name], 1.0)
    other = np.where(term("other_byte", columns) > 0, term("other_byte", columns), 1.0)
    if name == "sample_input":
        return other / columns["batch_size"]
    if name.startswith("use"):
        uses = np.maximum(term("reuse", columns) * columns["batch_size"], 1e-30)
        return {"uses": uses, "use_input": other / uses, "use_output": columns["n_activations"] / uses}[name]
    width = np.maximum(columns["n_activations"], 1.0) / other
    if name == "width":
        return width
    if name == "depth":
        return np.maximum(columns["n_parameters"], 1.0) / width
    amount = term(name, columns)
    return np.where(amount > 0, amount, 1.0)


class Kriging:
    """Posterior mean of a Gaussian process of mean 0 with a squared-exponential covariance.

    Args:
        at: places of the points, shape (n, d).
        values: what was seen there, shape (n,).
        lengths: length scale per coordinate, shape (d,).
        amplitude: standard deviation of the process.
        noise: standard deviation of what was seen, per point, shape (n,).
    """

    def __init__(self, at: Array, values: Array, lengths: Array, amplitude: float, noise: Array) -> None:
        self._at = at / lengths
        self._lengths = lengths
        self._amplitude = amplitude
        self._low, self._high = at.min(axis=0), at.max(axis=0)
        # The jitter keeps the factorisation from failing where two points have the same place.
        covariance = self._covariance(self._at) + np.diag(noise**2 + 1e-10)
        self._weights: Array = cho_solve(cho_factor(covariance, lower=True), values)

    def outside(self, at: Array) -> Array:
        """How far places of shape (m, d) are outside the box of the points: the largest over the coordinates."""
        far: Array = np.abs(at - np.clip(at, self._low, self._high)).max(axis=1)
        return far

    def predict(self, at: Array) -> Array:
        """Values at places of shape (m, d), each moved to the box of the points first."""
        # Not extrapolated: far from all points the mean falls back to 0, and on the way there it may swing.
        inside = np.clip(at, self._low, self._high) / self._lengths
        out = np.empty(len(inside))
        # In parts: the matrix of all queries by all points would not fit for a large network.
        step = max(1, int(_LARGE) // len(self._at) * 10)
        for start in range(0, len(inside), step):
            part = slice(start, start + step)
            out[part] = self._covariance(inside[part]) @ self._weights
        return out

    def _covariance(self, scaled: Array) -> Array:
        squares = (scaled**2).sum(axis=1)[:, None] + (self._at**2).sum(axis=1)[None, :]
        # |a - b|^2 multiplied out is one matrix product, but rounding may make it slightly negative.
        distance = np.maximum(squares - 2.0 * scaled @ self._at.T, 0.0)
        made: Array = self._amplitude**2 * np.exp(-0.5 * distance)
        return made
