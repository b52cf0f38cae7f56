"""Who is first, and how surely: places in a ranking, with those that the seeds leave open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gapslsim.results.significance import LEVEL, Ends, p_above_zero

__all__ = ["Entry", "Standing", "holm_survivors", "standings"]


class Entry(NamedTuple):
    """One of those that are ranked."""

    ends: Sequence[Ends]
    """One per seed, the same seeds for all: between which the number lies. The upper one is infinite where a run ended
    before it came to a target."""
    order: tuple[float, ...]
    """The lesser, the better; those with the same share a place."""


class Standing(NamedTuple):
    """A place among all."""

    place: int
    """By the means, from 1; 1 more than those that are better."""
    best_place: int
    """1 more than those that are better for sure."""
    worst_place: int
    """How many there are, less those that are worse for sure."""
    p: float
    """That the one in front is better: two-sided, NaN for that one itself or for one seed. The greatest of several."""
    is_alone: bool
    """First, and better than each of the others for sure."""
    is_among_first: bool
    """Not worse for sure than the one in front."""


def standings(entries: Sequence[Entry], *, less: bool) -> list[Standing]:
    """Ranks some that have run with the same seeds.

    One is better than another for sure where the 95 % interval of their paired difference (Student's t over seeds)
    excludes 0, wherever between their ends the numbers lie. That holds for each pair by itself: see `holm_survivors`.

    Args:
        entries: at least one, with as many seeds each.
        less: whether less is better.
    """
    ends = np.array([entry.ends for entry in entries], dtype=float)
    low, high = (ends[..., 0], ends[..., 1]) if less else (-ends[..., 1], -ends[..., 0])
    p = p_above_zero(low[None] - high[:, None])  # [i, j]: that i is better than j.
    np.fill_diagonal(p, math.nan)
    is_better = p <= LEVEL
    found = []
    first = min(entry.order for entry in entries)
    in_front = np.array([entry.order == first for entry in entries])
    for number, entry in enumerate(entries):
        place = 1 + sum(other.order < entry.order for other in entries)
        best = 1 + int(is_better[:, number].sum())
        worst = len(entries) - int(is_better[number].sum())
        is_front = bool(in_front[number])
        against = [p[other, number] for other in np.flatnonzero(in_front)]
        found.append(
            Standing(
                place, best, worst,
                math.nan if is_front else float(np.max(against)),
                # One alone is no winner.
                is_front and len(entries) > 1 and worst == 1,
                is_front or not is_better[in_front, number].any(),
            )
        )  # fmt: skip
    return found


def holm_survivors(rankings: Sequence[Sequence[Standing]]) -> int:
    """How many of the rankings' lone firsts stay so with Holm's correction for every pair with one in front."""
    known = sorted(
        (standing.p, number)
        for number, ranking in enumerate(rankings)
        for standing in ranking
        if not math.isnan(standing.p)
    )
    lone = {number for number, ranking in enumerate(rankings) if any(s.is_alone for s in ranking)}
    for rank, (p, _) in enumerate(known):
        if p * (len(known) - rank) > LEVEL:
            return len(lone - {number for _, number in known[rank:]})
    return len(lone)
