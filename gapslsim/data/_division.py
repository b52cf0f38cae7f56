"""What partitions share: the check that there is enough to divide, and drawing again until no client is short."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gapslsim.errors import DataError

__all__ = ["check_enough", "cut", "draw_until", "take"]

MAX_TRIES = 10_000
"""Most draws of one partition; fewer (at least 100) where a single draw is large."""
_MAX_DRAWN = 20_000_000
_BLOCK = 200_000


def check_enough(n_samples: int, n_clients: int, min_size: int = 1) -> None:
    """Raises DataError unless every one of `n_clients` can have `min_size` of `n_samples` samples."""
    if n_clients < 1:
        raise DataError(f"A partition needs at least 1 client, found {n_clients}; add a client.")
    if n_clients > n_samples:
        raise DataError(
            f"More clients than samples: {n_clients} clients share {n_samples} training samples, and each needs "
            f"at least one. Use at most {n_samples} clients, or more data (n_train)."
        )
    if n_clients * min_size > n_samples:
        raise DataError(
            f"partition.min_size = {min_size} for each of {n_clients} clients needs {n_clients * min_size} training "
            f"samples, found {n_samples}. Set min_size to {n_samples // n_clients} or less, or use fewer clients or "
            "more data (n_train)."
        )


def cut(proportions: NDArray[np.float64], total: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Whole counts that sum to `total` along the last axis: differences of the rounded cumulative proportions.

    Args:
        proportions: non-negative, summing to 1 along the last axis, [..., n_clients].
        total: samples to hand out, broadcast against [..., 1].
    """
    edges = np.rint(np.cumsum(proportions, axis=-1) * total).astype(np.int64)
    # Proportions sum to 1 up to rounding; the last edge must be all.
    edges[..., -1:] = total
    # A cumulative sum may pass 1 before its end, and would then give the last client fewer than none.
    edges = np.minimum(edges, total)
    return np.diff(edges, axis=-1, prepend=0)


def draw_until(
    draw: Callable[[int], NDArray[np.int64]], min_size: int, numbers_per_draw: int, complaint: str
) -> NDArray[np.int64]:
    """The first draw that gives every client `min_size` samples.

    What is drawn is thus the law of `draw`, conditioned on every client having enough. Draws are made in blocks,
    whose length depends on `numbers_per_draw` only.

    Args:
        draw: gives a number of independent draws of counts, int64 [n_draws, ..., n_clients].
        min_size: fewest samples of a client, summed over all axes but the first and the last.
        numbers_per_draw: size of one draw; bounds the tries to between 100 and MAX_TRIES.
        complaint: what cannot be had and what to change; follows the number of tries.

    Raises:
        DataError: if no draw within the bounds does.
    """
    # Bounded by numbers drawn, not by time: what is drawn must not depend on the machine.
    tries = min(MAX_TRIES, max(100, _MAX_DRAWN // numbers_per_draw))
    # In blocks, as most of the time of a small draw is the call.
    block = max(1, min(64, _BLOCK // numbers_per_draw))
    made = 0
    while made < tries:
        counts = draw(min(block, tries - made))
        made += len(counts)
        sizes = counts.sum(axis=tuple(range(1, counts.ndim - 1)))
        enough = np.flatnonzero(sizes.min(axis=-1) >= min_size)
        if len(enough):
            chosen: NDArray[np.int64] = counts[enough[0]]
            return chosen
    raise DataError(f"No partition found in {made} tries: {complaint}")


def take(indices: NDArray[np.int64], counts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cuts `indices` into consecutive pieces of the given lengths, one per client."""
    return np.split(indices, np.cumsum(counts)[:-1])
