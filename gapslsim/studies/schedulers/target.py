"""Stopping what cannot be first at a target, or not reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.registry import component
from gapslsim.results import words
from gapslsim.results._spent import SPENT, Spent
from gapslsim.results.measures.to_target import ToTarget
from gapslsim.scenario.limits import Accuracy, Every, Stop
from gapslsim.studies.scheduler import Rung, Scheduler, Setting, Step, schedulers

__all__ = ["Target"]


@schedulers.register
@component
class Target(Scheduler):
    """A setting is given up when it cannot be the first at an accuracy any more, or not come to it at all.

    The first is certain, and no guess: another setting has reached the target with every seed, and this one has spent
    more in the mean of the same seeds already. So the winner is that of the whole study, and no test of significance is
    made again and again. The second holds as far as `most_gain` does, which you state.
    """

    kind: Literal["target"] = "target"
    target: Accuracy
    """The accuracy as a share."""
    every: Rung
    """How far runs go from one look to the next."""
    spent: Spent = "time"
    """What is counted until the target: who needs least of it is first."""
    most_gain: Annotated[float, Field(gt=0, le=1)] | None = None
    """Accuracy that a run can gain from one look to the next at most, as a share; a run that would need more before it
    ends is given up. Unless given, none is for that reason."""

    def step(self, number: int, n_going: int) -> Step:
        """See the base class."""
        return Step(Every(self.every.amount * (number + 1), self.every.unit))

    def verdicts(self, settings: Sequence[Setting], step: Step, view: str) -> Mapping[int, str]:
        """See the base class."""
        measure = ToTarget(target=self.target, spent=self.spent)
        unit, aim = measure.unit, words.percent(self.target)
        values = [[measure.of_run(run, view) for run in setting.runs] for setting in settings]
        whole = [s.n_failed == 0 and len(s.runs) == s.n_seeds for s in settings]
        needed = {
            index: float(np.mean([value.number for value in of]))
            for index, of in enumerate(values)
            if whole[index] and all(value.reached for value in of)
        }
        first = min(needed, key=needed.__getitem__, default=None)
        found: dict[int, str] = {}
        for index, (setting, of) in enumerate(zip(settings, values, strict=True)):
            if index in needed or not whole[index]:
                continue
            # What it has spent is the least that it can need: of a seed that got there, up to the evaluation before.
            least = float(np.mean([v.number if v.after is None else v.after for v in of]))
            if first is not None and least > needed[first]:
                found[index] = (
                    f"cannot be first at {aim}: {SPENT[self.spent].name} is {least * unit.factor:.4g} {unit.shown} "
                    f"already, and {settings[first].name} needed {needed[first] * unit.factor:.4g} {unit.shown}"
                )
            elif self.most_gain is not None and step.until is not None:
                left = self._looks_left(setting.stop, step.until)
                best = [float(run.curve(view)["accuracy"].max()) for run in setting.runs]
                lost = [
                    b
                    for b, v in zip(best, of, strict=True)
                    if not v.reached and b + self.most_gain * left < self.target
                ]
                if lost:
                    found[index] = (
                        f"cannot reach {aim}: {words.percent(min(lost))} so far, and {words.percent(self.most_gain)} "
                        f"at most in each of {left:.4g} looks that are left"
                    )
        return found

    def least(self, n: int) -> int:
        """See the base class."""
        return min(n, 1)

    def problems(self, stop: Stop, n_seeds: int) -> Mapping[str, str]:
        """See the base class."""
        name = _ENDS[self.every.unit]
        if self.most_gain is None or getattr(stop, name) is not None:
            return {}
        return {
            "most_gain": f"needs to know how far a run goes; give 'stop.{name}', or count 'every' as the stop does."
        }

    def _looks_left(self, stop: Stop, until: Every) -> float:
        end = getattr(stop, _ENDS[until.unit])
        return float(max(0.0, (end - until.amount) / self.every.amount))


_ENDS = {"rounds": "rounds", "epochs": "epochs", "s": "simulated_time"}
