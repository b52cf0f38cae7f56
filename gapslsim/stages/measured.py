"""The measured stage: every computation is carried out and timed on this machine; the network is simulated.

The very protocol that runs on the simulated stage runs here. All its devices are this machine, one after another, yet
on the stage's clock they work side by side, each for as long as its own work took.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar

from gapslsim.learning.names import CLIENT, SERVER
from gapslsim.stages.plain_engine import Part, PlainEngine
from gapslsim.stages.simulated import SimulatedActor, SimulatedStage
from gapslsim.work import Cost, Work

__all__ = ["MeasuredActor", "MeasuredStage"]

T = TypeVar("T")


class MeasuredActor(SimulatedActor):
    """A node that takes the time that its work took here."""

    begin: Callable[[Work[Any]], tuple[float, Callable[[], Any]]]
    """The stage's: carries a work out, and gives its time [s] and what ends it."""

    def _begin(self, work: Work[T]) -> tuple[float, Callable[[], T]]:
        return self.begin(work)


class MeasuredStage(SimulatedStage):
    """Clients, server and parameter server that compute here.

    Work is carried out as it begins, and what it leaves is seen when its time is up; what is cancelled before that
    never happened. A work whose states somebody else wrote meanwhile is carried out once more at its end, untimed, from
    what they have become: an operation reads its states at completion, on this stage as on the simulated one.

    Args:
        parts: of a simulated stage, in its order; the learner has this engine and no journal.
        engine: computes and stops the time.
    """

    actor: ClassVar[type[SimulatedActor]] = MeasuredActor

    def __init__(self, *parts: Any, engine: PlainEngine) -> None:
        super().__init__(*parts)
        self.samples: dict[tuple[str, str, int], list[float]] = {}
        """Seconds by operation, part and batch size, of what was completed."""
        self.costs: dict[str, list[Cost]] = {}
        """What the profiles are asked for, by operation."""
        self._engine = engine
        # What follows from values that are there is computed, and timed, where it begins; these are not there yet.
        for name in (CLIENT, SERVER):
            _ = self.learner.states[name].value

    def forget(self) -> None:
        """Begins anew with samples and costs."""
        self.samples.clear()
        self.costs.clear()

    def _node(self, *of_node: Any) -> SimulatedActor:
        node = super()._node(*of_node)
        assert isinstance(node, MeasuredActor)
        node.begin = self._carry_out
        return node

    def _carry_out(self, work: Work[T]) -> tuple[float, Callable[[], T]]:
        states, parts = self.learner.states, self._engine.parts
        read = [states[name] for name in work.states]
        parts.clear()
        try:
            result, commit = self.learner.tentatively(work.carry_out)
        except Exception as error:
            # Whoever waits for the work hears of it at its end, as on the simulated stage.
            return sum(part.seconds for part in parts), partial(_fail, error)
        took = tuple(parts)

        def complete() -> T:
            self._note(work, took)
            if any(states[name] is not state for name, state in zip(work.states, read, strict=True)):
                return work.carry_out()
            commit()
            return result

        return sum(part.seconds for part in took), complete

    def _note(self, work: Work[Any], took: tuple[Part, ...]) -> None:
        self.costs.setdefault(work.operation, []).append(work.cost)
        for part in took:
            of_part = (work.operation, part.name, part.batch_size)
            self.samples.setdefault(of_part, []).append(part.seconds)


def _fail(error: Exception) -> NoReturn:
    raise error
