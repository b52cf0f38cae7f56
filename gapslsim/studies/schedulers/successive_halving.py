"""Successive halving."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.registry import component
from gapslsim.results.measures.accuracy import Accuracy
from gapslsim.scenario.limits import Every
from gapslsim.studies.scheduler import AnyMeasure, Rung, Scheduler, Setting, Step, schedulers

__all__ = ["SuccessiveHalving"]


@schedulers.register
@component
class SuccessiveHalving(Scheduler):
    """All settings go a short way, the best third of them three times as far, and so on (arXiv 1502.07943).

    A setting is ranked by the mean of all its seeds, which are the same for all. One in which a seed failed comes after
    all others. It assumes that who leads early leads in the end: a setting that is slow at first is given up.
    """

    kind: Literal["successive_halving"] = "successive_halving"
    min: Rung
    """How far all settings go."""
    eta: Annotated[float, Field(ge=1.5, le=100)] = 3.0
    """One of so many settings goes on, so many times as far; rounded up, and those that are equal go on together."""
    keep: PositiveInt = 1
    """So many settings are run to the end at least."""
    by: AnyMeasure = Accuracy()
    """What ranks them: a measure of figures, such as `{kind: to_target, target: 0.8}`."""

    def step(self, number: int, n_going: int) -> Step:
        """See the base class."""
        if n_going <= self.keep:
            return Step()
        amount = self.min.amount * self.eta**number
        return Step(
            Every(float(math.ceil(amount - 1e-9)) if self.min.unit == "rounds" else amount, self.min.unit)
        )

    def verdicts(self, settings: Sequence[Setting], step: Step, view: str) -> Mapping[int, str]:
        """See the base class."""
        places = [setting.place(self.by, view) for setting in settings]
        n_on = self.least(len(settings))
        if n_on >= len(settings):
            return {}
        last = sorted(places)[n_on - 1]
        n_on = sum(place <= last for place in places)
        found = {}
        for index, (setting, place) in enumerate(zip(settings, places, strict=True)):
            if place > last:
                rank = 1 + sum(other < place for other in places)
                told = setting.measured(self.by, view).words(self.by.unit.factor)
                found[index] = (
                    f"place {rank} of {len(settings)} by {self.by.name} ({told} {self.by.unit.shown}); "
                    f"the best {n_on} went on"
                )
        return found

    def least(self, n: int) -> int:
        """See the base class."""
        return min(n, max(self.keep, math.ceil(n / self.eta)))
