"""What channels and availabilities have in common: pairs of a time and a value, from 0 s on, drawn from a stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gapslsim.checks.check import require

__all__ = ["begins_at_zero", "is_the_same_again", "lasts", "times_ascend"]

Timeline = Sequence[tuple[float, Any]]


def begins_at_zero(pairs: Timeline, what: str) -> None:
    """There is a first one, at 0 s; `what` is the name of one: `step`, `change`."""
    require(pairs, f"{what}s yields nothing")
    require(pairs[0][0] == 0, f"the first {what} is at {pairs[0][0]!r} s")


def times_ascend(pairs: Timeline, what: str) -> None:
    """Times are finite, each later than the one before."""
    for index, ((before_s, _), (at_s, _)) in enumerate(pairwise(pairs), 1):
        holds = math.isfinite(at_s) and at_s > before_s
        require(holds, f"{what} {index} is at {at_s!r} s, after {before_s!r} s")


def is_the_same_again(one: Timeline, other: Timeline, what: str) -> None:
    """Two readings of one stream agree."""
    first = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    require(one == other, f"{what} {first} differs the second time")


def lasts(pairs: Timeline, what: str, least_s: float) -> None:
    """Each holds for so long at least, on average [s]."""
    n, end_s = len(pairs), pairs[-1][0]
    mean_s = end_s / (n - 1) if n > 1 else math.inf
    require(mean_s >= least_s, f"{n} {what}s cover {end_s:g} s, {mean_s:g} s each")
