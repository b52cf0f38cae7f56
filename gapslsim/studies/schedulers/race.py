"""A race over seeds: settings that are worse for sure get no more seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field

from gapslsim.registry import component
from gapslsim.results import words
from gapslsim.results.measures.accuracy import Accuracy
from gapslsim.results.significance import LEVEL, Difference, Ends, Pair, corrected, difference
from gapslsim.scenario.limits import Stop
from gapslsim.studies.scheduler import AnyMeasure, Scheduler, Setting, Step, schedulers

__all__ = ["Race"]


@schedulers.register
@component
class Race(Scheduler):
    """Whole runs, a seed more at a time; a setting that is decided to be worse than another gets no more seeds.

    Decided is what `gapslsim compare` calls so: a paired t-test, with Holm's correction for all pairs. Looking after
    each seed would find something by chance sooner or later, so the level is shared among the looks (Bonferroni: 5 %
    over four looks is 1.25 % at each). It holds however the looks depend on one another, and is careful
    rather than sharp.
    """

    kind: Literal["race"] = "race"
    first: Annotated[int, Field(ge=2)] = 2
    """Seeds that every setting gets."""
    by: AnyMeasure = Accuracy()
    """What settings are compared by: a measure of figures."""

    def step(self, number: int, n_going: int) -> Step:
        """See the base class."""
        return Step() if n_going <= 1 else Step(n_seeds=self.first + number)

    def verdicts(self, settings: Sequence[Setting], step: Step, view: str) -> Mapping[int, str]:
        """See the base class."""
        n_looks = max(1, max(setting.n_seeds for setting in settings) - self.first)
        known = [self._by_seed(setting, view) for setting in settings]
        found: list[Difference] = []
        for one, other in combinations([index for index, of in enumerate(known) if of], 2):
            pair = Pair(str(one), str(other), self.by.name)
            made = difference(known[one], known[other], pair, less=not self.by.greater_is_better)
            found += [] if made is None else [made]
        worse: dict[int, str] = {}
        for each in sorted(corrected(found), key=lambda one: one.p):
            if each.p <= LEVEL / n_looks:
                worse.setdefault(
                    int(each.pair.second),
                    f"{settings[int(each.pair.first)].name} is better by {self.by.name} in {each.n} seeds "
                    f"(p {words.at_most(each.p)}, at most {LEVEL / n_looks:.3g} at each of {n_looks} looks)",
                )
        return worse

    def _by_seed(self, setting: Setting, view: str) -> dict[int, Ends]:
        """Of each seed; nothing where one failed or did not get there: the others would be the lucky ones."""
        values = {run.record.seed: self.by.of_run(run, view) for run in setting.runs}
        if setting.n_failed or not all(value.reached for value in values.values()):
            return {}
        return {seed: (v.number if v.after is None else v.after, v.number) for seed, v in values.items()}

    def least(self, n: int) -> int:
        """See the base class."""
        return min(n, 1)

    def problems(self, stop: Stop, n_seeds: int) -> Mapping[str, str]:
        """See the base class."""
        if n_seeds > self.first:
            return {}
        return {"first": f"the study has {n_seeds} seeds, so nothing could be spared; give more seeds."}
