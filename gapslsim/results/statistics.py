"""Means over seeds, with their spread and confidence, and curves brought onto one grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from gapslsim.results import words
from gapslsim.results.crossing import Crossing

__all__ = ["Spread", "dominated", "ends_highest", "mean_curve", "seeds_words", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample: one number per seed."""

    n: int
    mean: float
    deviation: float
    """Sample standard deviation (n - 1); NaN for n < 2."""
    half_width: float
    """Half of the 95 % confidence interval of the mean by Student's t; NaN for n < 2."""
    low: float
    high: float
    after: float = math.nan
    """Where numbers are known to lie between two evaluations: mean of the lower ends. `mean` is that of the upper ones,
    and `low` is the least lower end. NaN if numbers are known exactly."""
    after_half_width: float = math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the mean; with what is between evaluations, wherever it lies there."""
        if math.isnan(self.after):
            return self.mean - self.half_width, self.mean + self.half_width
        return self.after - self.after_half_width, self.mean + self.half_width

    def within(self, say: Callable[[float], str]) -> str:
        """The mean: `48.3 %`, or `4.08 .. 4.71 s` between evaluations."""
        return Crossing(self.mean if math.isnan(self.after) else self.after, self.mean, math.nan).words(say)

    def words(self, say: Callable[[float], str], most: float = math.inf) -> str:
        """`48.3 % ± 1.2 %`, or `4.08 .. 4.71 s ± 12 ms`, and in a second line the interval, `45.3 % .. 51.3 %`.

        Args:
            say: writes a number.
            most: greatest value that there can be; the interval ends there, and at 0.
        """
        if self.n == 0:
            return "-"
        if self.n == 1:
            return self.within(say)
        low, high = self.interval
        return f"{self.within(say)} ± {say(self.deviation)}\n{say(max(0.0, low))} .. {say(min(most, high))}"


def spread(values: Sequence[float], after: Sequence[float] = ()) -> Spread:
    """Mean, deviation and 95 % t-interval of a few numbers; what is not finite is left out.

    Args:
        values: one per seed.
        after: where each is known to lie between two evaluations, the lower ends; then `values` are the upper ones.
    """
    if after:
        lower, upper = spread(after), spread(values)
        return replace(upper, low=lower.low, after=lower.mean, after_half_width=lower.half_width)
    finite = np.array([value for value in values if math.isfinite(value)], dtype=float)
    n = len(finite)
    if n == 0:
        return Spread(0, *[math.nan] * 5)
    mean, low, high = float(finite.mean()), float(finite.min()), float(finite.max())
    if n == 1:
        return Spread(1, mean, math.nan, math.nan, low, high)
    from scipy.stats import t

    deviation = float(finite.std(ddof=1))
    return Spread(n, mean, deviation, float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n), low, high)


def mean_curve(curves: Sequence[pd.DataFrame], x: str, y: str = "accuracy") -> pd.DataFrame:
    """Mean over seeds along `x`, where all seeds have values; between two evaluations the line is straight.

    Returns:
        Columns x, mean, low, high (least and greatest seed).
    """
    given = [curve for curve in curves if len(curve)]
    if not given:
        return pd.DataFrame({"x": [], "mean": [], "low": [], "high": []})
    begin = max(float(curve[x].iloc[0]) for curve in given)
    end = min(float(curve[x].iloc[-1]) for curve in given)
    first = given[0][x].to_numpy(dtype=float)
    grid = np.unique([begin, *first[(first > begin) & (first < end)], end]) if end >= begin else np.array([])
    rows = np.array([np.interp(grid, curve[x].to_numpy(float), curve[y].to_numpy(float)) for curve in given])
    return pd.DataFrame({"x": grid, "mean": rows.mean(0), "low": rows.min(0), "high": rows.max(0)})


def dominated(points: Sequence[Sequence[float]]) -> list[int | None]:
    """For each point the index of one that is at least as good in all and better in one; None on the Pareto front.

    Args:
        points: lower is better in every coordinate.
    """

    def beats(other: Sequence[float], point: Sequence[float]) -> bool:
        return all(o <= p for o, p in zip(other, point, strict=True)) and tuple(other) != tuple(point)

    return [next((i for i, other in enumerate(points) if beats(other, point)), None) for point in points]


def ends_highest(means: Mapping[str, float]) -> str:
    """`psl ends highest`; equal ones are not ranked: `psl and sfl end highest`, `all end equally high`.

    Args:
        means: accuracy at the end by name, at least one.
    """
    best = max(means.values())
    names = [name for name, mean in means.items() if mean == best]
    if len(names) == 1:
        return f"{names[0]} ends highest"
    if len(names) == len(means):
        return "all end equally high"
    return f"{words.listed(names)} end highest"


def seeds_words(n: int) -> str:
    """What a line and a band are, by the number of seeds."""
    if n < 2:
        return "Each line is one run (one seed)."
    return f"Lines are means over up to {n} seeds, bands reach from the lowest to the highest seed."
