"""Further evaluations where an accuracy that is asked for is near, so that its time is known more finely."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

from gapslsim.milestones import Position
from gapslsim.scenario.limits import Every

__all__ = ["NearTargets"]

_NEAR: Final = 0.1


class NearTargets:
    """Knows when a target is near: no further than ten points, or than accuracy last rose between two due evaluations.

    Until the first due evaluation of trained models nothing is known, so that every target counts as near.

    Args:
        every: interval between further evaluations; None for none.
        targets: accuracies whose times are asked for.
    """

    def __init__(self, every: Every | None, targets: Sequence[float]) -> None:
        self._every = every
        self._missing = sorted(targets)
        self._n_passed = 0
        self._last: float | None = None
        self._rise = 0.0
        self._is_begun = False
        self._is_near = every is not None

    def note(self, at: Position, accuracy: float | None, is_due: bool) -> None:
        """Notes an evaluation.

        Args:
            at: where the run stands.
            accuracy: found in the target view; None if there is none.
            is_due: whether it was due anyway.
        """
        if self._every is None or accuracy is None:
            return
        self._n_passed = self._passed(at)
        self._missing = [target for target in self._missing if target > accuracy]
        if is_due or self._last is None:
            self._rise = 0.0 if self._last is None else accuracy - self._last
            self._last = accuracy
        self._is_begun |= (
            is_due and at.rounds > 0
        )  # The evaluation before training tells nothing of its pace.
        nearest = self._missing[0] - accuracy if self._missing else inf
        self._is_near = nearest <= max(_NEAR, self._rise) or (nearest < inf and not self._is_begun)

    def evaluation_is_due(self, at: Position) -> bool:
        """Whether the run is to be evaluated besides."""
        return self._is_near and self._passed(at) > self._n_passed

    def _passed(self, at: Position) -> int:
        assert self._every is not None
        return self._every.passed(at.along(self._every.unit))
