"""A rate that is zero at times."""

from __future__ import annotations

import math
from collections.abc import Iterator

__all__ = ["interrupted"]


def interrupted(
    steps: Iterator[tuple[float, float]], changes: Iterator[tuple[float, bool]]
) -> Iterator[tuple[float, float]]:
    """The steps of a rate, cut by outages.

    Args:
        steps: (time [s], rate [bit/s]), from 0 s on.
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
