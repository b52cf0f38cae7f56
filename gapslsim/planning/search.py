"""The best combination of choices: all of them where that is feasible, else with a bound on what is missed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from gapslsim.errors import GapslsimError
from gapslsim.planning.choices import Axis, Choice
from gapslsim.planning.timing import Alone, Outcome, Timer
from gapslsim.scenario.planning import Goal

__all__ = ["Found", "search"]

Combination = tuple[Choice, ...]
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

    Up to `most` combinations are all timed. Of more, those that take least where each client group is alone are timed
    first: once that bound is above the best value, nothing left can be better, and the best is optimal.

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
    if not timer.has_bound(axes):
        _descend(tuple(axis.choices[0] for axis in axes), axes, note, lambda: len(timer.known) < most)
        return Found(best, value, None, total, len(timer.known))
    bounds = _Bounds(axes, timer, goals)
    least, share = bounds.least, most if total > _LISTED else most // 2
    ends = (tuple(axis.choices[place] for axis in axes) for place in (0, -1))
    for start in (bounds.start, *ends):
        _descend(start, axes, note, lambda: len(timer.known) < share and value > least * (1 + _ROUNDING))
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


class _Bounds:
    """What combinations take at least: the client groups alone, under the choices that concern them."""

    def __init__(self, axes: Sequence[Axis], timer: Timer, goals: Mapping[Goal, float]) -> None:
        self._axes, self._timer, self._goals = axes, timer, goals
        self._n_groups = len(timer.scenario(()).clients)
        self._known: dict[tuple[int, tuple[str, ...]], Alone | None] = {}

    def of(self, combination: Combination) -> float:
        """Of one combination; infinite where a group cannot be run."""
        alone = []
        for group in range(self._n_groups):
            own = tuple(
                choice
                for axis, choice in zip(self._axes, combination, strict=True)
                if axis.group in (None, group)
            )
            key = group, tuple(choice.name for choice in own)
            if key not in self._known:
                self._known[key] = self._alone(group, own)
            found = self._known[key]
            if found is None:
                return math.inf
            alone.append(found)
        return self._timer.at_least(alone, self._goals)

    def _alone(self, group: int, own: Combination) -> Alone | None:
        try:
            return self._timer.alone(group, own, with_energy=any("energy" in goal for goal in self._goals))
        except GapslsimError:
            return None

    @property
    def start(self) -> Combination:
        """For every axis by itself the choice with the least bound, the others as they are."""
        here = [axis.choices[0] for axis in self._axes]
        for place, axis in enumerate(self._axes):
            here[place] = min(axis.choices, key=lambda c: self.of((*here[:place], c, *here[place + 1 :])))
        return tuple(here)

    def in_order(self) -> Iterator[tuple[float, Combination]]:
        """All combinations, the least bound first."""
        every = ((self.of(c), c) for c in product(*(axis.choices for axis in self._axes)))
        yield from sorted(every, key=lambda pair: pair[0])

    @property
    def least(self) -> float:
        """No combination has less: the best of each group for itself, under each choice that concerns all."""
        common = [axis for axis in self._axes if axis.group is None]
        return min(self._least(fixed) for fixed in product(*(axis.choices for axis in common)))

    def _least(self, fixed: Combination) -> float:
        """Each part of the bound at its best, one by one: the whole is no more than that of any combination."""
        found = []
        for group in range(self._n_groups):
            own = [axis for axis in self._axes if axis.group == group]
            options = []
            for chosen in product(*(axis.choices for axis in own)):
                by_axis = dict(zip([id(a) for a in own], chosen, strict=True))
                common = iter(fixed)
                combination = tuple(
                    by_axis[id(axis)] if axis.group == group else next(common)
                    for axis in self._axes
                    if axis.group in (None, group)
                )
                key = group, tuple(choice.name for choice in combination)
                if key not in self._known:
                    self._known[key] = self._alone(group, combination)
                if (one := self._known[key]) is not None:
                    options.append(one)
            if not options:
                return math.inf
            found.append(
                Alone(
                    min(o.time_s for o in options), min(o.excess_j for o in options), max(o.samples for o in options),
                    min(o.idle_w for o in options), min(o.server_idle_w for o in options),
                )
            )  # fmt: skip
        return self._timer.at_least(found, self._goals)
