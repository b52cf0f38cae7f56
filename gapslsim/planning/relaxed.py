"""The least that a choice per client group can give, where stages and stations bound the time from below.

A round takes no less than the sum of its stages; a stage no less than its slowest group, and no less than a station
that all need: before its first use, for the sum of all uses, after the last. For a fixed choice of which of the two
counts in each stage, time is one maximum over groups plus a sum over groups, and the best choices under every value of
the maximum are found one by one. Ratios go through Dinkelbach's method (Management Science 13(7), 1967).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gapslsim.planning.alone import Alone
from gapslsim.scenario.planning import Goal

__all__ = ["least_of", "time_of", "value_at"]

Array = NDArray[np.float64]
_MOST_STEPS: Final = 50
"""Of Dinkelbach's method; it takes a handful."""


def time_of(alone: Sequence[Alone]) -> float:
    """What all rounds take at least [s], for one choice of each group."""
    lead_s, tail_s = (np.min([getattr(one.use, f) for one in alone], 0) for f in ("lead_s", "tail_s"))
    station_s = np.sum([one.use.busy_s for one in alone], 0) + _finite(lead_s) + _finite(tail_s)
    stage_s = np.max([one.stage_s for one in alone], 0)
    return float(np.maximum(stage_s, station_s.max(1, initial=0.0)).sum())


def value_at(alone: Sequence[Alone], time_s: float, goals: Mapping[Goal, float]) -> float:
    """The weighted goal where a round takes so long; in units of the goal."""
    energy_j = _idle_w([[one] for one in alone]) * time_s + sum(one.excess_j for one in alone)
    samples = sum(one.samples for one in alone)
    of = {"round_time": time_s, "energy": energy_j, "bytes": sum(one.bytes for one in alone)}
    of |= {"time_per_sample": time_s / samples, "energy_per_sample": energy_j / samples}
    return sum(weight * of[goal] for goal, weight in goals.items())


def least_of(
    options: Sequence[Sequence[Alone]], goals: Mapping[Goal, float], n_rounds: int
) -> tuple[float, list[int]]:
    """No choice of an option per group has less; and the choice that this was found for.

    Args:
        options: of each group, one or more.
        goals: weights of what is made small.
        n_rounds: that the stages are of.
    """
    best, picks = -np.inf, [0] * len(options)
    for problem in _problems(options, n_rounds):
        whole = problem.least({g: w for g, w in goals.items() if not g.endswith("_per_sample")}, None)
        ratio = problem.least({g: w for g, w in goals.items() if g.endswith("_per_sample")}, problem.samples)
        if whole[0] + ratio[0] > best:
            best, picks = whole[0] + ratio[0], max(whole, ratio, key=lambda pair: pair[0])[1]
    return best, picks


def _finite(seconds: Array) -> Array:
    return np.where(np.isfinite(seconds), seconds, 0.0)


def _idle_w(options: Sequence[Sequence[Alone]]) -> float:
    """Of all nodes, at least."""
    return sum(min(o.idle_w for o in of_group) for of_group in options) + min(
        o.server_idle_w for of_group in options for o in of_group
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """Time is a maximum over groups plus a sum over groups; arrays are by option, those of all groups in a row."""

    options: Sequence[Sequence[Alone]]
    most_s: Array
    """No round is shorter than this of any option taken."""
    more_s: Array
    """What comes on top for every option taken, per round."""
    fixed_s: float
    """And in any case."""

    def _each(self, of: Callable[[Alone], float]) -> Array:
        return np.array([of(option) for of_group in self.options for option in of_group])

    @property
    def samples(self) -> Array:
        """Of each option."""
        return self._each(lambda option: option.samples)

    def least(self, goals: Mapping[Goal, float], per: Array | None) -> tuple[float, list[int]]:
        """The least weighted goal, over the sum of `per` where that is given; 0 without goals."""
        by = {goal.removesuffix("_per_sample"): weight for goal, weight in goals.items()}
        energy = by.get("energy", 0.0)
        second = by.get("round_time", 0.0) + by.get("time", 0.0) + energy * _idle_w(self.options)
        costs = second * self.more_s + energy * self._each(lambda o: o.excess_j)
        costs += by.get("bytes", 0.0) * self._each(lambda o: o.bytes)
        base, picks = second * self.fixed_s, [0] * len(self.options)
        if not goals:
            return 0.0, picks
        if per is None:
            value, picks = self._choose(costs, second)
            return base + value, picks
        firsts = np.cumsum([0, *map(len, self.options)])[:-1]
        least_per = np.add.reduce(np.minimum.reduceat(per, firsts))
        ratio = np.inf
        for _ in range(_MOST_STEPS):
            taken = firsts + picks
            ratio = (base + second * self.most_s[taken].max() + costs[taken].sum()) / per[taken].sum()
            value, picks = self._choose(costs - ratio * per, second)
            if base + value >= -1e-12 * ratio * least_per:
                break
        return float(ratio + min(0.0, base + value) / least_per), picks

    def _choose(self, costs: Array, second: float) -> tuple[float, list[int]]:
        """An option of each group, so that their costs and the longest of their times are least together."""
        group_of = np.repeat(np.arange(len(self.options)), [len(of_group) for of_group in self.options])
        place_of = np.concatenate([np.arange(len(of_group)) for of_group in self.options])
        order = np.lexsort((costs, self.most_s))
        here = np.full(len(self.options), np.inf)
        missing, total, best, best_at = len(self.options), 0.0, np.inf, 0
        for at, option in enumerate(order.tolist()):
            group, cost = group_of[option], costs[option]
            if cost < here[group]:
                total += cost - (here[group] if np.isfinite(here[group]) else 0.0)
                missing -= not np.isfinite(here[group])
                here[group] = cost
                if not missing and total + second * self.most_s[option] < best:
                    best, best_at = total + second * self.most_s[option], at
        picks, here = [0] * len(self.options), np.full(len(self.options), np.inf)
        for option in order[: best_at + 1].tolist():
            if costs[option] < here[group_of[option]]:
                here[group_of[option]], picks[group_of[option]] = costs[option], int(place_of[option])
        return float(best), picks


def _problems(options: Sequence[Sequence[Alone]], n_rounds: int) -> list[_Problem]:
    """Bounds of which each holds: slowest groups in all stages; stations where they take longer; or where they can."""
    every = [option for of_group in options for option in of_group]
    stage_s = np.array([option.stage_s for option in every])
    busy_s = np.array([option.use.busy_s for option in every])
    firsts = np.cumsum([0, *map(len, options)])[:-1]
    floor_s = np.minimum.reduceat(stage_s, firsts).max(0)
    around_s: Array = sum(  # type: ignore[assignment]
        _finite(np.min([getattr(option.use, f) for option in every], 0)) for f in ("lead_s", "tail_s")
    )
    least_s = around_s + np.minimum.reduceat(busy_s, firsts).sum(0)
    most_s = around_s + np.maximum.reduceat(busy_s, firsts).sum(0)
    stages = np.arange(len(floor_s))
    ways = [np.full(len(stages), -1)]
    for station_s in (least_s, most_s) if least_s.shape[1] else ():
        of = station_s.argmax(1)
        ways.append(np.where(station_s[stages, of] > floor_s, of, -1))
    problems = []
    for way in np.unique(ways, axis=0):
        at = stages[way >= 0], way[way >= 0]
        most = np.maximum(stage_s, floor_s)[:, way < 0].sum(1) / n_rounds
        more = busy_s[:, *at].sum(1) / n_rounds
        problems.append(_Problem(options, most, more, float(around_s[at].sum()) / n_rounds))
    return problems
