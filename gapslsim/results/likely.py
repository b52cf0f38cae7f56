"""What draws of the uncertain figures say: intervals, what they rest on, and which rankings are decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "AFTER",
    "CAUSE",
    "Array",
    "Order",
    "draws_of",
    "earliest_of",
    "interval",
    "orders",
    "spread_of_time",
]

CAUSE: Final = "z "
"""Quantities that are the random number of a cause begin so."""
AFTER: Final = "time_to_accuracy_after_s "
"""And so the last evaluation below a target: the time to it lies between the two."""
Array = NDArray[np.float64]


def draws_of(uncertainty: pd.DataFrame, quantity: str) -> Array:
    """A quantity of every draw, in order; empty if it was not drawn."""
    own = uncertainty[uncertainty["quantity"] == quantity].sort_values("draw")
    values: Array = own["value"].to_numpy(dtype="float64")
    return values


def earliest_of(uncertainty: pd.DataFrame, quantity: str) -> Array:
    """The last evaluation below a target, draw by draw; for quantities that are known exactly, their values."""
    found = draws_of(uncertainty, quantity.replace("time_to_accuracy_s ", AFTER))
    return found if len(found) else draws_of(uncertainty, quantity)


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
    """Of the draws in which that is so; those in which nobody can tell count half."""
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
    drawn: Mapping[str, Array], of: str, threshold: float = 0.95, earliest: Mapping[str, Array] | None = None
) -> list[Order]:
    """Whether each neighbour in a ranking by median is decided.

    Args:
        drawn: less is better; by name, paired: place i of each is the same draw.
        of: what they are, in words.
        threshold: share of the draws from which an order is decided.
        earliest: what each draw may be as little as, where it is known between two evaluations only: where the ranges
            of two runs overlap, nothing says which is first.

    Raises:
        ValueError: if they do not have as many draws.
    """
    known = {name: values for name, values in drawn.items() if np.isfinite(values).any()}
    if len({len(values) for values in known.values()}) > 1:
        raise ValueError("runs have different numbers of draws, so they are not paired; draw again")
    ranked = sorted(known, key=lambda name: float(np.nanmedian(known[name])))
    ranges = {name: ((earliest or known)[name], known[name]) for name in ranked}
    return [_order(ranges[a], ranges[b], a, b, of, threshold) for a, b in pairwise(ranked)]


def _order(
    a: tuple[Array, Array], b: tuple[Array, Array], first: str, second: str, of: str, threshold: float
) -> Order:
    both: Any = np.isfinite(a[1]) & np.isfinite(b[1])
    # Exact values are before one another where they are unlike, ranges where they do not overlap.
    before, behind = ((x[1] <= y[0]) & (x[1] < y[1]) for x, y in ((a, b), (b, a)))
    share = float(np.mean((1.0 + before - behind)[both])) / 2 if both.any() else 0.5
    names = (first, second) if share >= 0.5 else (second, first)
    return Order(*names, of, max(share, 1 - share), threshold)
