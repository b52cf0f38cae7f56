"""What combinations of choices take at least: client groups alone, and what all of them need of what they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Protocol

import numpy as np

from gapslsim.errors import GapslsimError
from gapslsim.planning.alone import Alone
from gapslsim.planning.choices import Axis, Choice
from gapslsim.planning.relaxed import least_of, time_of, value_at
from gapslsim.scenario.planning import Goal

__all__ = ["Bounds", "Combination", "Lone"]

Combination = tuple[Choice, ...]


class Lone(Protocol):
    """What a bound asks of a timer."""

    @property
    def n_groups(self) -> int:
        """Client groups of the scenario."""

    @property
    def n_rounds(self) -> int:
        """That are timed."""

    def alone(self, choices: Sequence[Choice], with_energy: bool) -> list[Alone]:
        """What each group takes alone."""


class Bounds:
    """Bounds of combinations, all from runs of each group alone.

    Args:
        axes: what is chosen.
        timer: plays groups alone.
        goals: weights of what is made small.
    """

    def __init__(self, axes: Sequence[Axis], timer: Lone, goals: Mapping[Goal, float]) -> None:
        self._axes, self._timer, self._goals = axes, timer, goals
        self._with_energy = any("energy" in goal for goal in goals)
        self._own = [
            [place for place, axis in enumerate(axes) if axis.group == group]
            for group in range(timer.n_groups)
        ]
        self._common = [place for place, axis in enumerate(axes) if axis.group is None]
        self._known: dict[tuple[int, tuple[str, ...]], Alone | None] = {}

    def of(self, combination: Combination) -> float:
        """Of one combination; infinite where a group cannot be run."""
        found = self._alone(combination)
        alone = [one for one in found if one is not None]
        if len(alone) < len(found):
            return np.inf
        return value_at(alone, time_of(alone) / self._timer.n_rounds, self._goals)

    def in_order(self) -> Iterator[tuple[float, Combination]]:
        """All combinations, the least bound first."""
        every = ((self.of(c), c) for c in product(*(axis.choices for axis in self._axes)))
        yield from sorted(every, key=lambda pair: pair[0])

    @cached_property
    def least(self) -> tuple[float, Combination]:
        """No combination has less; and one that the bound was found for."""
        best, at = np.inf, tuple(axis.choices[0] for axis in self._axes)
        for fixed in product(*(self._axes[place].choices for place in self._common)):
            ways = [list(product(*(self._axes[place].choices for place in own))) for own in self._own]
            found: list[dict[int, Alone]] = [{} for _ in ways]
            for turn in range(max(map(len, ways), default=1)):
                picks = [turn % len(of_group) for of_group in ways]
                for group, one in enumerate(self._alone(self._with(fixed, ways, picks))):
                    if one is not None:
                        found[group][picks[group]] = one
            if all(found):
                options = [list(of_group.values()) for of_group in found]
                value, chosen = least_of(options, self._goals, self._timer.n_rounds)
                if value < best:
                    picks = [list(of_group)[pick] for of_group, pick in zip(found, chosen, strict=True)]
                    best, at = value, self._with(fixed, ways, picks)
        return best, at

    def _with(
        self, fixed: Combination, ways: Sequence[Sequence[Combination]], picks: Sequence[int]
    ) -> Combination:
        """The combination with these choices that concern all, and each group's own."""
        made = dict(zip(self._common, fixed, strict=True))
        for places, of_group, pick in zip(self._own, ways, picks, strict=True):
            made |= zip(places, of_group[pick], strict=True)
        return tuple(made[place] for place in range(len(self._axes)))

    def _alone(self, combination: Combination) -> list[Alone | None]:
        """What each group takes alone; None where it cannot be run."""
        common = tuple(combination[place].name for place in self._common)
        keys = [
            (group, (*common, *(combination[place].name for place in own)))
            for group, own in enumerate(self._own)
        ]
        if any(key not in self._known for key in keys):
            self._known |= zip(keys, self._played(combination), strict=True)
        return [self._known[key] for key in keys]

    def _played(self, combination: Combination) -> Sequence[Alone | None]:
        try:
            return self._timer.alone(combination, self._with_energy)
        except GapslsimError:
            pass
        found: list[Alone | None] = []
        for group, own in enumerate(
            self._own
        ):  # One of them cannot be run: each by itself, the others as written.
            kept = {*self._common, *own}
            tried = [choice for place, choice in enumerate(combination) if place in kept]
            try:
                found.append(self._timer.alone(tried, self._with_energy)[group])
            except GapslsimError:
                found.append(None)
        return found
