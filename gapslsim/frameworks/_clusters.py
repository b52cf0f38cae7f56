"""Clusters of clients that have their turns one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

__all__ = ["Clusters", "Made", "problems_of", "turns_of"]

_Members = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1, max_length=100_000)]
Clusters = PositiveInt | Annotated[tuple[_Members, ...], Field(min_length=1, max_length=100_000)]
"""How many, of sizes that differ by one at most; or which clients are in each, in the order of their turns."""
Made = Literal["blocks", "spread", "random"]
"""Neighbours, every n-th, or drawn."""


def turns_of(
    wanted: Clusters,
    made: Made,
    clients: Sequence[int],
    random: Callable[[], np.random.Generator] | None = None,
) -> list[list[int]]:
    """Clusters in the order of their turns, each ascending, without those that nobody is in.

    Args:
        wanted: how many, or who is in each.
        made: how, of how many are wanted.
        clients: that take part.
        random: makes the stream that they are drawn from; without it, those of `blocks` stand for drawn ones.
    """
    if not isinstance(wanted, int):
        there = set(clients)
        return [own for cluster in wanted if (own := sorted(there.intersection(cluster)))]
    if made == "random" and random is not None:
        clients = random().permutation(clients).tolist()
    n = len(clients)
    if made == "spread":
        parts = [clients[place::wanted] for place in range(min(wanted, n))]
    else:
        parts = [clients[n * i // wanted : n * (i + 1) // wanted] for i in range(wanted)]
    return [sorted(own) for own in parts if own]


def problems_of(wanted: Clusters, n_clients: int) -> list[str]:
    """What keeps so many clients from being so divided, in words."""
    if isinstance(wanted, int):
        if wanted <= n_clients:
            return []
        return [f"clusters is {wanted}, but there are {n_clients} clients; write {n_clients} or fewer"]
    if sorted(c for own in wanted for c in own) == list(range(n_clients)):
        return []
    found = [list(own[:10]) for own in wanted[:10]]
    return [
        f"clusters must name each of the {n_clients} clients once, from 0 to {n_clients - 1}; found {found}"
    ]
