"""epsilon of Gaussian noise."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import log_ndtr

__all__ = ["gaussian_epsilon"]


_MOST = 1e6
"""Above this epsilon is beyond 5e11: no privacy at all."""


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The least epsilon >= 0 at which Gaussian noise is (epsilon, delta)-private; theorem 8 of arXiv 1805.06530.

    delta(epsilon) = Phi(mu / 2 - epsilon / mu) - e^epsilon Phi(-mu / 2 - epsilon / mu), which falls with epsilon.

    Args:
        mu: sensitivity over standard deviation, above 0.
        delta: in (0, 1).
    """

    def excess(epsilon: float) -> float:
        lost = math.exp(log_ndtr(mu / 2 - epsilon / mu))
        return lost - math.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu)) - delta

    if not mu < _MOST:
        return math.inf
    if excess(0.0) <= 0:
        return 0.0
    # Gaussian tails: Phi(-x) <= exp(-x^2 / 2), so that here the first term alone is below delta.
    most = mu * (mu / 2 + math.sqrt(2 * math.log(1 / delta)))
    return float(brentq(excess, 0.0, most, xtol=1e-12 * max(1.0, most), rtol=1e-12))
