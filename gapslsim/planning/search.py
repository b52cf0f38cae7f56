"""The best combination of choices: all of them where that is feasible, else with a bound on what is missed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from gapslsim.planning.bounds import Bounds, Combination
from gapslsim.planning.choices import Axis
from gapslsim.planning.timing import Outcome, Timer
from gapslsim.scenario.planning import Goal

__all__ = ["Found", "search"]

_LISTED = 100_000
"""Combinations up to which all are put in the order of their bounds."""
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found."""

    best: Combination | None
    """None if no combination keeps the limits."""
    value: float
    """Of the goal; infinite if there is none."""
    bound: float | None
    """No combination has less; None if no bound is known."""
    n_combinations: int
    n_timed: int
    unbounded: str = ""
    """Why no bound is known, in words."""

    @property
    def is_optimal(self) -> bool:
        """Whether nothing can be better."""
        return self.bound is not None and self.value <= self.bound * (1 + _ROUNDING)

    @property
    def gap(self) -> float | None:
        """How much less than the value another combination might have, as a share; None if that is not known."""
        if self.bound is None or self.best is None:
            return None
        return max(0.0, 1 - self.bound / self.value)


def search(
    axes: Sequence[Axis],
    timer: Timer,
    goals: Mapping[Goal, float],
    most: int,
    told: Callable[[], None] = lambda: None,
) -> Found:
    """The combination with the least value.

    Up to `most` combinations are all timed. Of more, those with the least bounds are timed first: once a bound is above
    the best value, nothing left can be better, and the best is optimal.

    Args:
        axes: what is chosen.
        timer: what a combination takes.
        goals: weights of what is made small.
        most: how many combinations are timed.
        told: called after each.
    """
    total = math.prod(len(axis.choices) for axis in axes)
    best: Combination | None = None
    value = math.inf

    def score(combination: Combination) -> float:
        outcome = timer.outcome(combination)
        told()
        return math.inf if outcome.wrong else value_of(outcome, goals)

    def note(combination: Combination) -> float:
        nonlocal best, value
        now = score(combination)
        if now < value:
            best, value = combination, now
        return now

    if total <= most:
        for combination in product(*(axis.choices for axis in axes)):
            note(combination)
        return Found(best, value, value, total, len(timer.known))
    if why := timer.unbounded(axes):
        _descend(tuple(axis.choices[0] for axis in axes), axes, note, lambda: len(timer.known) < most)
        return Found(best, value, None, total, len(timer.known), why)
    bounds = Bounds(axes, timer, goals)
    (least, start), share = bounds.least, most if total > _LISTED else most // 2
    ends = (tuple(axis.choices[place] for axis in axes) for place in (0, -1))

    def note_if_better(combination: Combination) -> float:
        return math.inf if bounds.of(combination) >= value else note(combination)

    for begin in (start, *ends):
        _descend(
            begin, axes, note_if_better, lambda: len(timer.known) < share and value > least * (1 + _ROUNDING)
        )
    if total > _LISTED:
        return Found(best, value, min(value, least), total, len(timer.known))
    for bound, combination in bounds.in_order():
        if bound >= value * (1 - _ROUNDING):
            return Found(best, value, value, total, len(timer.known))
        if len(timer.known) >= most and tuple(c.name for c in combination) not in timer.known:
            return Found(best, value, min(value, bound), total, len(timer.known))
        note(combination)
    return Found(best, value, value, total, len(timer.known))


def value_of(outcome: Outcome, goals: Mapping[Goal, float]) -> float:
    """The weighted goal."""
    return sum(weight * outcome.value(goal) for goal, weight in goals.items())


def _descend(
    start: Combination,
    axes: Sequence[Axis],
    note: Callable[[Combination], float],
    goes_on: Callable[[], bool],
) -> None:
    """Changes one choice after the other while that makes the value less, until nothing does."""
    if not goes_on():
        return
    here, value, changed = start, note(start), True
    while changed:
        changed = False
        for place, axis in enumerate(axes):
            for choice in axis.choices:
                if not goes_on():
                    return
                there = (*here[:place], choice, *here[place + 1 :])
                if choice is not here[place] and (now := note(there)) < value:
                    here, value, changed = there, now, True
