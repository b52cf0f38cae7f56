"""What draws of the uncertain figures say: intervals, what they rest on, and which rankings are decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["CAUSE", "Array", "Order", "draws_of", "interval", "orders", "spread_of_time"]

CAUSE: Final = "z "
"""Quantities that are the random number of a cause begin so."""
Array = NDArray[np.float64]


def draws_of(uncertainty: pd.DataFrame, quantity: str) -> Array:
    """A quantity of every draw, in order; empty if it was not drawn."""
    own = uncertainty[uncertainty["quantity"] == quantity].sort_values("draw")
    values: Array = own["value"].to_numpy(dtype="float64")
    return values


def interval(values: Array, level: float) -> dict[str, float | None]:
    """The central interval that holds a share of the draws, and their median; draws without a value are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return dict.fromkeys(("low", "median", "high"))
    low, median, high = np.quantile(known, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return {"low": float(low), "median": float(median), "high": float(high)}


def spread_of_time(uncertainty: pd.DataFrame) -> dict[str, float]:
    """Share of the variance of the logarithm of time that each cause explains by itself, largest first.

    The logarithm of time is nearly linear in independent causes, so their squared regression coefficients are shares.
    What is left to 1 are joint effects and the randomness of the run itself.
    """
    time_s = draws_of(uncertainty, "simulated_time_s")
    known = np.isfinite(time_s)
    if known.sum() < 3 or np.ptp(time_s[known]) == 0:
        return {}
    names = [name for name in uncertainty["quantity"].unique() if name.startswith(CAUSE)]
    logs = np.log(time_s[known])
    causes = np.array([draws_of(uncertainty, name)[known] for name in names]).reshape(len(names), -1)
    causes -= causes.mean(axis=1, keepdims=True)
    logs -= logs.mean()
    if len(logs) >= 5 * len(names):
        # All at once: one by one, chance would give each cause a share of those that count.
        slopes = np.linalg.lstsq(causes.T, logs, rcond=None)[0]
    else:
        slopes = causes @ logs / (causes**2).sum(axis=1)
    variances = slopes**2 * causes.var(axis=1) / logs.var()
    shares = {name.removeprefix(CAUSE): float(one) for name, one in zip(names, variances, strict=True)}
    return dict(sorted(shares.items(), key=lambda found: -found[1]))


@dataclass(frozen=True, slots=True)
class Order:
    """Which of two runs comes first, by draws in which both have the same boards and links."""

    first: str
    """The one that is less in more of the draws."""
    second: str
    of: str
    """What is compared, in words."""
    share: float
    """Of the draws in which that is so; ties count half."""
    threshold: float
    """Share from which the order is decided."""

    @property
    def decided(self) -> bool:
        """Whether the draws leave no doubt."""
        return self.share >= self.threshold

    def __str__(self) -> str:
        per_cent = f"{100 * self.share:.0f} % of draws"
        if self.decided:
            return f"{self.of}: {self.first} before {self.second} in {per_cent}"
        return f"{self.of}: order of {self.first} and {self.second} not decided ({self.first} first in {per_cent})"


def orders(
    drawn: Mapping[str, Array], of: str, threshold: float = 0.95, pairs: Sequence[tuple[str, str]] = ()
) -> list[Order]:
    """Whether each neighbour in a ranking by median is decided.

    Args:
        drawn: less is better; by name, paired: place i of each is the same draw.
        of: what they are, in words.
        threshold: share of the draws from which an order is decided.
        pairs: which names to compare; neighbours in the order of their medians unless given.

    Raises:
        ValueError: if they do not have as many draws.
    """
    known = {name: values for name, values in drawn.items() if np.isfinite(values).any()}
    if len({len(values) for values in known.values()}) > 1:
        raise ValueError("runs have different numbers of draws, so they are not paired; draw again")
    ranked = sorted(known, key=lambda name: float(np.nanmedian(known[name])))
    return [_order(known[a], known[b], a, b, of, threshold) for a, b in pairs or pairwise(ranked)]


def _order(a: Array, b: Array, first: str, second: str, of: str, threshold: float) -> Order:
    both: Any = np.isfinite(a) & np.isfinite(b)
    share = float(np.mean((a < b)[both]) + np.mean((a == b)[both]) / 2) if both.any() else 0.5
    names = (first, second) if share >= 0.5 else (second, first)
    return Order(*names, of, max(share, 1 - share), threshold)
