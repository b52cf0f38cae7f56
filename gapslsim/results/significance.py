"""Is a difference real? Runs of the same seeds are compared pair by pair; Student's t, Holm's correction.

Numbers may be known between two ends only (a time between two evaluations): every statement then holds wherever in
between the true ones lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gapslsim.results import words

__all__ = [
    "LEVEL",
    "MOST_SEEDS",
    "Difference",
    "Pair",
    "corrected",
    "difference",
    "p_above_zero",
    "seeds_needed",
]

LEVEL: Final = 0.05
"""An order is decided where the corrected p is no greater."""
POWER: Final = 0.8
MOST_SEEDS: Final = 1000


class Pair(NamedTuple):
    """Two series of which one may have less of something."""

    first: str
    """The one that is better in the mean."""
    second: str
    of: str
    """What is compared, in words."""
    where: str = ""
    """Panel in which both lie."""


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the first of two is better, paired by seed. Positive numbers speak for the first."""

    pair: Pair
    n: int
    """Seeds that both have."""
    wins: int
    """Seeds in which the first is better for sure."""
    mean: tuple[float, float]
    """Both ends are the same where the numbers are known exactly."""
    interval: tuple[float, float]
    """95 % confidence interval of the mean; NaN for one seed."""
    probability: float
    """That the first is better in the mean: 1 less the one-sided p, its posterior under a flat prior. NaN if n is 1."""
    p: float
    """Two-sided; corrected once `corrected` has seen all that are compared. NaN for one seed."""
    effect: float
    """Mean difference over its deviation over seeds; NaN for one seed."""
    n_compared: int = 1
    """Comparisons among which p is corrected."""

    @property
    def is_nothing(self) -> bool:
        """Whether both are the same in every seed."""
        return self.mean == self.interval == (0.0, 0.0)

    @property
    def is_decided(self) -> bool:
        """Whether the seeds leave no doubt at the level."""
        return self.p <= LEVEL

    def words(self, say: Callable[[float], str]) -> str:
        """`1.20 s (800 ms .. 1.60 s)`: the mean, and its interval where there is one.

        Args:
            say: writes a number that is not negative.
        """

        def signed(value: float) -> str:
            return f"-{say(-value)}" if value < 0 else say(value)

        def between(ends: tuple[float, float]) -> str:
            texts = [signed(end) for end in ends]
            return texts[0] if texts[0] == texts[1] else " .. ".join(texts)

        return between(self.mean) + (f" ({between(self.interval)})" if self.n > 1 else "")

    @property
    def verdict(self) -> str:
        """`decided (p 0.003)`, `not decided (p 0.2, about 12 seeds would)`; one seed decides nothing."""
        if self.n < 2:
            return "one seed in common: no spread is known"
        p = f"p {words.at_most(self.p)}"
        if self.is_decided:
            return f"decided ({p})"
        if self.effect > 0:
            n = self.seeds_needed
            would = f"more than {MOST_SEEDS}" if n > MOST_SEEDS else f"about {n:.0f}"
            return f"not decided ({p}, {would} seeds would)"
        return "the same in every seed" if self.is_nothing else "not decided: it lies between two evaluations"

    @property
    def seeds_needed(self) -> float:
        """Seeds that decide it with a probability of 80 %, if mean and spread stay; inf if no number of them would."""
        return seeds_needed(self.effect, self.n_compared) if self.effect > 0 else math.inf


Ends = tuple[float, float]
"""Between which a number lies; twice the same where it is known."""


def difference(
    first: Mapping[int, Ends], second: Mapping[int, Ends], pair: Pair, *, less: bool
) -> Difference | None:
    """Compares two series by the seeds that both have; the pair is turned round if the second is better.

    Args:
        first: by seed.
        second: by seed.
        pair: what they are.
        less: whether less is better.

    Returns:
        None if they have no seed in common.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    a, b = (np.array([of[seed] for seed in seeds], dtype=float) for of in (first, second))
    if not less:
        a, b = -a[:, ::-1], -b[:, ::-1]
    low, high = b[:, 0] - a[:, 1], b[:, 1] - a[:, 0]
    if low.mean() + high.mean() < 0:
        low, high = -high, -low
        pair = pair._replace(first=pair.second, second=pair.first)
    wins, n = int((low > 0).sum()), len(seeds)
    mean = (float(low.mean()), float(high.mean()))
    if n == 1:
        return Difference(pair, n, wins, mean, (math.nan,) * 2, math.nan, math.nan, math.nan)
    from scipy.special import stdtr

    # Of the two ends the one that says less.
    t = float(_t(low))
    share = float(stdtr(n - 1, t))
    interval = (mean[0] - _half_width(low), mean[1] + _half_width(high))
    return Difference(pair, n, wins, mean, interval, share, float(p_above_zero(low)), t / math.sqrt(n))


def p_above_zero(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two-sided p of Student's t-test that a mean is above 0.

    Args:
        gaps: [..., seeds]; minus infinity where nothing is known of one.

    Returns:
        [...]: 1 where the mean is not above 0, NaN for one seed.
    """
    from scipy.special import stdtr

    n = gaps.shape[-1]
    if n < 2:
        return np.full(gaps.shape[:-1], math.nan)
    # From the other tail, which does not round to 0.
    p: NDArray[np.float64] = 2 * stdtr(n - 1, -_t(gaps))
    return p


def _t(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Student's statistic along the last axis, at least 0; infinite where all seeds say the same."""
    known = np.where(np.isneginf(gaps).any(axis=-1, keepdims=True), -1.0, gaps)
    mean, deviation = known.mean(axis=-1), known.std(axis=-1, ddof=1)
    # Equal numbers may differ by the rounding of their subtraction.
    is_flat = deviation <= 1e-12 * np.abs(known).max(axis=-1)
    t = mean / np.where(is_flat, 1.0, deviation) * math.sqrt(gaps.shape[-1])
    found: NDArray[np.float64] = np.maximum(0.0, np.where(is_flat, np.where(mean > 0, math.inf, 0.0), t))
    return found


def _half_width(values: NDArray[np.float64]) -> float:
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(n)


def seeds_needed(effect: float, n_compared: int = 1) -> float:
    """Seeds with which a paired two-sided t-test at 5 % finds an effect with a power of 80 %.

    Args:
        effect: mean difference over its standard deviation (Cohen's d of pairs).
        n_compared: comparisons among which the level is shared (Bonferroni; Holm asks no more).

    Returns:
        At most `MOST_SEEDS` + 1, which stands for more.
    """
    from scipy.special import nctdtr, stdtrit

    if math.isinf(effect):
        return 2.0

    def power(n: int) -> float:
        edge, shift = float(stdtrit(n - 1, 1 - LEVEL / n_compared / 2)), effect * math.sqrt(n)
        return 1 - float(nctdtr(n - 1, shift, edge)) + float(nctdtr(n - 1, shift, -edge))

    low, high = 1, 2
    while power(high) < POWER:  # Upwards, as the noncentral t is not computed well far off.
        if high > MOST_SEEDS:
            return float(MOST_SEEDS + 1)
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return float(high)


def corrected(found: Sequence[Difference]) -> list[Difference]:
    """The same with Holm's correction for all of them together; those of one seed are let be."""
    known = sorted((place for place, one in enumerate(found) if one.n > 1), key=lambda place: found[place].p)
    made, greatest = list(found), 0.0
    for rank, place in enumerate(known):
        greatest = max(greatest, min(1.0, (len(known) - rank) * found[place].p))
        made[place] = replace(found[place], p=greatest, n_compared=len(known))
    return made
