"""Eqs. (1) to (8) of [lin2026gapsl] once more, in plain NumPy, for the tests; no code is shared with the library.

Angles are taken literally as arccos of the clamped cosine. In float64 that definition loses half of the digits near 0
and pi, so arrays hold numbers of 50 digits (mpmath) and only results are rounded to float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import mpmath
import numpy as np

_TIE = 1e-9


@dataclass
class Round:
    scores: np.ndarray
    dispersion: float
    ratio: float
    leaders: list[int]
    leader: np.ndarray
    angles: np.ndarray
    threshold: float
    admitted: list[int]
    losses: np.ndarray
    mean_update: np.ndarray
    sum_update: np.ndarray
    extremes: tuple[float, float]


def exact(array: np.ndarray) -> np.ndarray:
    return np.vectorize(mpmath.mpf, otypes=[object])(array)


def angle(a: np.ndarray, b: np.ndarray) -> mpmath.mpf:
    squares = (a @ a) * (b @ b)
    if squares == 0:
        return mpmath.pi / 2
    cosine = (a @ b) / mpmath.sqrt(squares)
    return mpmath.acos(max(mpmath.mpf(-1), min(mpmath.mpf(1), cosine)))


def lowest(scores: np.ndarray, count: int) -> list[int]:
    left = dict(enumerate(scores))
    chosen = []
    for _ in range(count):
        best = min(left.values())
        index = min(i for i, score in left.items() if score <= best + _TIE)
        chosen.append(index)
        del left[index]
    return sorted(chosen)


def gapsl_round(
    gradients: np.ndarray,
    losses: np.ndarray,
    t: int,
    T: int,
    extremes: tuple[float, float] | None,
    k_min: float,
    k_max: float,
    eta: float,
    lambda_: float,
) -> Round:
    """One round with `gradient: detached` and `on_empty: nearest`."""
    with mpmath.workdps(50):
        g = exact(gradients)
        n = len(g)
        between = [[angle(g[i], g[j]) for j in range(n)] for i in range(n)]
        scores = np.array(
            [float(sum(between[i][j] for j in range(n) if j != i) / max(n - 1, 1)) for i in range(n)]
        )
        nu = float(np.sqrt(np.mean((scores - scores.mean()) ** 2)))
        nu_min, nu_max = (min(extremes[0], nu), max(extremes[1], nu)) if extremes else (nu, nu)
        factor = (nu_max - nu) / (nu_max - nu_min) if nu_max - nu_min > _TIE else 1.0
        ratio = k_min + t / T * factor * (k_max - k_min)
        leaders = lowest(scores, int(np.ceil(ratio * n - 1e-9)))
        lead = sum(g[i] for i in leaders) / mpmath.mpf(len(leaders))
        angles = np.array([float(angle(row, lead)) for row in g])
        spread = float(np.sqrt(np.mean((angles - angles.mean()) ** 2)))
        threshold = max(min(angles.mean() - eta * spread, np.pi / 2), 0.0)
        admitted = [i for i in range(n) if angles[i] <= threshold + _TIE] or lowest(angles, 1)
        reported = losses.copy()
        for i in admitted:
            reported[i] += lambda_ * float(1 - mpmath.cos(angle(g[i], lead)))
        return Round(
            scores=scores,
            dispersion=nu,
            ratio=ratio,
            leaders=leaders,
            leader=lead.astype(float),
            angles=angles,
            threshold=float(threshold),
            admitted=admitted,
            losses=reported,
            mean_update=gradients[admitted].mean(0),
            sum_update=gradients[admitted].sum(0),
            extremes=(nu_min, nu_max),
        )


def family(kind: str, n: int, d: int, seed: int) -> np.ndarray:
    """Gradients of one kind: random, parallel, opposite, zero, duplicate."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, d)) + 0.5 * random.normal(size=d)
    line = random.normal(size=d)
    if kind == "parallel":
        return random.uniform(0.1, 10, size=(n, 1)) * line
    if kind == "opposite":
        return random.uniform(0.1, 10, size=(n, 1)) * random.choice([-1.0, 1.0], size=(n, 1)) * line
    if kind == "zero":
        rows[random.random(n) < 0.4] = 0
    if kind == "duplicate":
        rows = rows[random.integers(0, max(n // 3, 1), size=n)]
    return rows
