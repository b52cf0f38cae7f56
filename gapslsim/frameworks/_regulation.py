"""Who takes part and with how many samples, so that all are ready together and their labels look like everybody's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["mixed_choice", "regulated"]

_TRIED, _SWAPPED = 3_000, 200_000
"""Combinations that are all tried; products of chosen and others up to which swaps are tried."""


def regulated(n: int, seconds: Sequence[float], caps: Sequence[int]) -> list[int]:
    """A global mini-batch shared out so that clients are ready at about the same time.

    Args:
        n: B, no less than there are clients; what `caps` allow together if that is less.
        seconds: of each client for a sample, above 0.
        caps: most samples of each, 1 or more.

    Returns:
        B_k of each: in inverse proportion to the seconds, by largest remainders, from 1 up to its cap.
    """
    n, speeds = min(n, sum(caps)), 1.0 / np.array(seconds, dtype=float)
    limits = np.array(caps)
    sizes, open_ = np.ones(len(limits)), np.ones(len(limits), dtype=bool)
    while (
        True
    ):  # Who would have less than 1 or more than its cap is held there, and the rest is shared out anew.
        left = n - sizes[~open_].sum()
        wanted = np.where(open_, left * speeds / max(speeds[open_].sum(), 1e-300), sizes)
        too_many, too_few = open_ & (wanted > limits), open_ & (wanted < 1)
        over = (wanted - limits)[too_many].sum() - (1 - wanted)[too_few].sum()
        held = too_many if over > 0 else too_few if too_few.any() else too_many
        if not held.any():
            break
        sizes[held], open_[held] = np.clip(wanted, 1, limits)[held], False
    made = np.floor(wanted + 1e-9).astype(np.int64)
    for place in np.argsort(made - wanted, kind="stable"):
        if made.sum() < n and made[place] < limits[place]:
            made[place] += 1
    return [int(size) for size in made]


def mixed_choice(
    k: int,
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    wanted: NDArray[np.float64],
    n_fixed: int = 0,
) -> list[int]:
    """The k rows whose weighted mean is nearest to a label distribution, by Kullback-Leibler divergence from it.

    All combinations are tried where these are few; else row after row is added that helps most, and then, in all but
    very large fleets, rows are exchanged as long as that helps. Without chance; of equals the first rows.

    Args:
        k: how many, from 1 to n.
        labels: label distribution of each, [n, C].
        weights: samples of each in the mean, or what is in proportion to them, [n].
        wanted: label distribution that is wanted, above 0 where any row is, [C].
        n_fixed: how many of the first rows are among them in any case.

    Returns:
        Rows, ascending.
    """
    n, mass, chosen = len(labels), labels * weights[:, None], list(range(n_fixed))
    total = mass[:n_fixed].sum(0)
    if k >= n:
        return list(range(n))
    if math.comb(n - n_fixed, k - n_fixed) <= _TRIED:
        tried = np.array(list(itertools.combinations(range(n_fixed, n), k - n_fixed)), dtype=np.int64)
        best = int(np.argmin(_divergence(total + mass[tried].sum(1), wanted)))
        return [*chosen, *map(int, tried[best])]
    while len(chosen) < k:
        found = _divergence(total + mass, wanted)
        found[chosen] = np.inf
        chosen.append(int(np.argmin(found)))
        total = total + mass[chosen[-1]]
    if k * n <= _SWAPPED:
        _exchange(chosen, mass, wanted, n_fixed)
    return sorted(chosen)


def _exchange(
    chosen: list[int], mass: NDArray[np.float64], wanted: NDArray[np.float64], n_fixed: int
) -> None:
    least = float(_divergence(mass[chosen].sum(0)[None], wanted)[0])
    for _, place in itertools.product(range(3), range(n_fixed, len(chosen))):
        found = _divergence(mass[chosen].sum(0) - mass[chosen[place]] + mass, wanted)
        found[chosen] = np.inf
        other = int(np.argmin(found))
        if found[other] < least - 1e-12:
            chosen[place], least = other, float(found[other])


def _divergence(mass: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(share || wanted) of each row of sums of samples by label."""
    share = mass / mass.sum(1, keepdims=True)
    there = wanted > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = share[:, there] * np.log(share[:, there] / wanted[there])
    return np.asarray(np.where(share[:, there] > 0, terms, 0.0).sum(1))
