"""The random numbers of draws: one for each cause of error, the same for every run that shares the cause."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gapslsim.rng import stream

__all__ = ["Causes"]


class Causes:
    """Standard normal numbers by cause and draw.

    They are a function of the cause's name, the draw and the number of draws alone. So runs that share a board or a
    link group are drawn together, and a comparison of them is paired. Each cause is sampled evenly (one number in each
    of n parts of equal probability: McKay, Beckman and Conover, Technometrics 21(2), 1979), which steadies intervals.

    Args:
        n: number of draws.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self.known: dict[str, NDArray[np.float64]] = {}
        """Causes asked for so far."""

    def z(self, cause: str, draw: int) -> float:
        """The number of a cause in a draw, from 0."""
        if cause not in self.known:
            random = stream(0, "uncertainty", cause)
            places = (random.permutation(self._n) + random.random(self._n)) / self._n
            self.known[cause] = ndtri(places)
        return float(self.known[cause][draw])
