"""Search through Optuna, which draws settings by what earlier ones gave."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import PositiveInt

from gapslsim.errors import optional
from gapslsim.registry import component
from gapslsim.studies.search import Point, Range, Search, Told, searches

__all__ = ["Optuna"]


@searches.register
@component
class Optuna(Search):
    """Settings that a sampler of Optuna (arXiv 1907.10902) suggests, some at a time; needs the extra `optuna`.

    Nothing is stored but the study: the sampler is asked again from its seed, and told what the tables say. So a study
    that is resumed tries the same.
    """

    learns: ClassVar[bool] = True
    kind: Literal["optuna"] = "optuna"
    sampler: Literal["tpe", "nsga2"] = "tpe"
    """Tree-structured Parzen estimators, or the genetic algorithm NSGA-II for several objectives."""
    batch: PositiveInt = 4
    """Settings that are tried at a time, before the sampler is told of them: fewer learn more, more use more cores."""

    def ask(self, told: Told) -> list[Point]:
        """See the base class. Raises ComponentError where Optuna is not installed."""
        optuna = optional("optuna", "The search 'optuna'", "Optuna", "optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
        better = ["maximize" if measure.greater_is_better else "minimize" for measure in self.objective]
        study = optuna.create_study(directions=better, sampler=samplers[self.sampler](seed=self.seed))
        space = {path: self._distribution(optuna.distributions, entry) for path, entry in self.space.items()}
        for place in range(0, self.trials, self.batch):
            asked = [study.ask(space) for _ in range(min(self.batch, self.trials - place))]
            if place >= len(told):
                return [self._point(trial.params) for trial in asked]
            for trial, values in zip(asked, told[place:], strict=False):
                failed = optuna.trial.TrialState.FAIL if values is None else None
                study.tell(trial, values, state=failed)
        return []

    @staticmethod
    def _distribution(of: Any, entry: Any) -> Any:
        if not isinstance(entry, Range):
            return of.CategoricalDistribution(range(len(entry)))
        if entry.whole:
            return of.IntDistribution(int(entry.from_), int(entry.to), log=entry.scale == "log")
        return of.FloatDistribution(entry.from_, entry.to, log=entry.scale == "log")

    def _point(self, drawn: dict[str, Any]) -> Point:
        return tuple(
            entry.tidy(drawn[path]) if isinstance(entry, Range) else float(drawn[path])
            for path, entry in self.space.items()
        )
