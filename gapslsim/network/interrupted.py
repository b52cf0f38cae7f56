"""A rate that is zero at times."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gapslsim.network.channel import Steps

__all__ = ["interrupted", "stays"]


def interrupted(steps: Steps, changes: Iterator[tuple[float, bool]]) -> Steps:
    """The steps of a rate, cut by outages.

    Args:
        steps: from 0 s on.
        changes: (time [s], whether it is up from then on), from 0 s on.
    """
    time_s, rate = next(steps)
    _, up = next(changes)
    step, change = next(steps, None), next(changes, None)
    while True:
        yield time_s, rate if up else 0.0
        if step is None and change is None:
            return
        step_s = step[0] if step is not None else math.inf
        change_s = change[0] if change is not None else math.inf
        # Both may fall on one instant, so both are looked at before the next step is given.
        time_s = min(step_s, change_s)
        if step is not None and step_s <= time_s:
            rate, step = step[1], next(steps, None)
        if change is not None and change_s <= time_s:
            up, change = change[1], next(changes, None)


def stays(random: np.random.Generator, mean_up: float, mean_down: float) -> Iterator[tuple[float, bool]]:
    """Up and down in turn for exponential times, starting stationary: (time [s], whether it is up from then on)."""
    is_up = bool(random.random() * (mean_up + mean_down) < mean_up)
    time_s = 0.0
    while True:
        yield time_s, is_up
        # The rest of a first stay is again exponential (no memory), so nothing is special at time 0.
        time_s += float(random.exponential(mean_up if is_up else mean_down))
        is_up = not is_up
