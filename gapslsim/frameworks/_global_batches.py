"""Mini-batches of clients that make up one global mini-batch of a size that the server says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["allot", "allot_some", "compose", "share_without"]


def compose(
    n_wanted: int,
    shards: Sequence[int],
    taken: Sequence[int],
    random: Callable[[], np.random.Generator] | None = None,
) -> list[int]:
    """Samples of each client in the next global mini-batch.

    It holds what clients have left of the present epoch of them all, each sample as likely as any other. Where that is
    not enough, it takes all of it and goes on with the next epoch. A client whose samples are used up gets 0.

    Args:
        n_wanted: B, samples in the global mini-batch, 1 or more.
        shards: D_k, training samples of each client.
        taken: samples of its stream that each has used.
        random: makes the stream for a multivariate hypergeometric draw; None for shares in proportion to what is left.

    Returns:
        B_k of each; they sum to B.
    """
    epoch = min(used // n for used, n in zip(taken, shards, strict=True))
    left = [max(0, (epoch + 1) * n - used) for used, n in zip(taken, shards, strict=True)]
    sizes, stream = np.zeros(len(shards), dtype=np.int64), None if random is None else random()
    while (missing := n_wanted - int(sizes.sum())) > 0:
        if missing >= sum(left):
            sizes += left
        elif stream is None:
            sizes += allot(missing, left)
        else:
            sizes += stream.multivariate_hypergeometric(left, missing, method="marginals")
        left = list(shards)
    return [int(size) for size in sizes]


def allot(n: int, weights: Sequence[int]) -> list[int]:
    """Divides `n` in proportion to weights by largest remainders; of equal ones the first client's counts.

    Args:
        n: at most the sum of the weights.
        weights: whole numbers, not all 0.
    """
    total = sum(weights)
    sizes, remainders = zip(*(divmod(n * weight, total) for weight in weights), strict=True)
    made = list(sizes)
    for place in sorted(range(len(made)), key=lambda place: -remainders[place])[: n - sum(made)]:
        made[place] += 1
    return made


def allot_some(n: int, weights: Sequence[int]) -> list[int]:
    """As `allot`, but one at least each: what is missing is taken from those that have the most.

    Args:
        n: at least as many as there are weights, at most their sum.
        weights: whole numbers of 1 or more.
    """
    made = allot(n, weights)
    for place, size in enumerate(made):
        if not size:
            made[made.index(max(made))] -= 1
            made[place] = 1
    return made


def share_without(n_drawn: int, shard: int, n_all: int) -> float:
    """Probability that a uniform draw without replacement has no sample of a client.

    Args:
        n_drawn: B.
        shard: D_k.
        n_all: samples of all clients.
    """
    if n_drawn > n_all - shard:
        return 0.0
    terms = (n_all - shard, n_all - n_drawn), (n_all - shard - n_drawn, n_all)
    above, below = (sum(math.lgamma(n + 1) for n in side) for side in terms)
    return math.exp(above - below)
