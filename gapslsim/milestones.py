"""When a run is due for evaluation and when it is over.

Judged at the end of each round; where a protocol has no barrier between rounds, after every update of the server.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gapslsim.scenario.limits import Every, Stop
from gapslsim.units import format_quantity

__all__ = ["Milestones", "Position"]

_ROUNDING = 1e-9


class Position(NamedTuple):
    """Where a run stands."""

    rounds: int
    epochs: float
    now_s: float
    server_steps: int = 0
    samples: int = 0

    def along(self, unit: str) -> float:
        """The position in one unit of intervals: rounds, epochs, s, steps (of the server) or samples."""
        place = ("rounds", "epochs", "s", "steps", "samples").index(unit)
        return float(self[place])


class Milestones:
    """Keeps the next evaluation in mind and knows the stop conditions.

    Args:
        every: interval between evaluations.
        stop: conditions of which the first that holds ends the run.
        geometry: interval between measurements of the geometry of gradients; None for none.
        greater_is_better: of what `stop.patience` looks at.
    """

    def __init__(
        self, every: Every, stop: Stop, geometry: Every | None = None, greater_is_better: bool = True
    ) -> None:
        self._sign = 1 if greater_is_better else -1
        self._best = -math.inf
        self._n_no_better = 0
        self._every = every
        self._stop = stop
        self._geometry = geometry
        self._n_passed = 0
        self._n_measured = -1

    def evaluation_is_due(self, at: Position) -> bool:
        """Whether a multiple of the interval was reached since the last call that said so."""
        passed = self._every.passed(at.along(self._every.unit))
        due = passed > self._n_passed
        self._n_passed = max(passed, self._n_passed)
        return due

    def note(self, value: float) -> None:
        """Notes what `stop.patience` looks at, of one evaluation; NaN is no better than anything."""
        assert self._stop.patience is not None
        if self._sign * value > self._best + self._stop.patience.by:
            self._best, self._n_no_better = self._sign * value, 0
        else:
            self._n_no_better += 1

    def geometry_is_due(self, before: Position) -> bool:
        """Whether the gradients of the round that begins are measured: the first, then one per interval.

        Args:
            before: where the run stands before the round.
        """
        every = self._geometry
        if every is None:
            return False
        passed = every.passed(before.along(every.unit))
        due = passed > self._n_measured
        self._n_measured = max(passed, self._n_measured)
        return due

    def stopped_by(self, at: Position, accuracy: float | None) -> str:
        """The condition that holds, in words; empty if the run goes on.

        Args:
            at: where the run stands.
            accuracy: latest in the target view; None if there is none.
        """
        stop = self._stop
        if stop.target_accuracy is not None and accuracy is not None and accuracy >= stop.target_accuracy:
            return f"target accuracy {stop.target_accuracy:g} reached"
        if stop.patience is not None and self._n_no_better >= stop.patience.evaluations:
            return str(stop.patience)
        if stop.rounds is not None and at.rounds >= stop.rounds:
            return f"{stop.rounds} rounds"
        if stop.epochs is not None and at.epochs >= stop.epochs - _ROUNDING:
            return f"{stop.epochs:g} epochs"
        if stop.server_steps is not None and at.server_steps >= stop.server_steps:
            return f"{stop.server_steps} server steps"
        if stop.samples is not None and at.samples >= stop.samples:
            return f"{stop.samples} samples"
        if stop.simulated_time is not None and at.now_s >= stop.simulated_time:
            return f"simulated time {format_quantity(stop.simulated_time, 's')}"
        return ""

    def fraction(self, at: Position) -> float | None:
        """Share of the run that is done, by the condition that is nearest; None if only accuracy can end it."""
        stop = self._stop
        limits = zip(
            (stop.rounds, stop.epochs, stop.simulated_time, stop.server_steps, stop.samples), at, strict=True
        )
        shares = [done / limit for limit, done in limits if limit is not None]
        return min(1.0, max(shares)) if shares else None
