"""The chain of keyed values that a learner makes: real ones, waiting ones, or keys and sizes alone in a dry run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gapslsim.learning.observations import Observations
from gapslsim.learning.operations import Observable, Operations
from gapslsim.work import Deferred, Keyed

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine
    from gapslsim.learning.journal.journal import Journal
    from gapslsim.learning.state import SideState
    from gapslsim.records import LossRow

__all__ = ["Chain"]

T = TypeVar("T")
V = TypeVar("V")
Record = dict[str, Any]


class Chain:
    """Makes keyed values and collects what their operations let us see.

    Args:
        engine: does the tensor work, or makes what does when it is first needed; None for a dry run.
        journal: what is known of this training; None to compute everything.
    """

    def __init__(self, engine: Engine | Callable[[], Engine] | None, journal: Journal | None) -> None:
        self.operations = None if engine is None else Operations(engine, journal)
        self._observations = Observations()
        self._unobserved: list[Observable] = []

    @property
    def observed(self) -> Observations:
        """What training let us see so far."""
        self.catch_up()
        return self._observations

    @property
    def is_dry(self) -> bool:
        """Whether there are keys and sizes alone."""
        return self.operations is None

    def keyed(
        self,
        key: str,
        size_bytes: int,
        inputs: Sequence[Keyed[Any]],
        compute: Callable[[Engine], T],
        *,
        is_state: bool = False,
        light: bool = False,
    ) -> Keyed[T]:
        """The value of an operation, or its key and size alone in a dry run; see `Operations.keyed`."""
        if self.operations is None:
            return Keyed(key, size_bytes)
        return self.operations.keyed(key, size_bytes, inputs, compute, is_state=is_state, light=light)

    def part(
        self,
        key: str,
        size_bytes: int,
        whole: Deferred[T] | None,
        pick: Callable[[T], V],
        *,
        is_state: bool = False,
    ) -> Keyed[V]:
        """A part of an operation's outcome; its key is derived from the operation's."""
        if self.operations is None or whole is None:
            return Keyed(key, size_bytes)
        return self.operations.keyed(
            key, size_bytes, (whole,), lambda _: pick(whole.value), is_state=is_state, light=True
        )

    def observed_outcome(
        self,
        key: str,
        inputs: Sequence[Keyed[Any]],
        compute: Callable[[Engine], T],
        losses_of: Callable[[T], Sequence[LossRow]],
        record_of: Callable[[T], Record],
    ) -> tuple[Deferred[T] | None, Record]:
        """An operation that lets us see something now: its outcome, and its record, from the journal if it is known.

        Args:
            key: of the operation.
            inputs: what it reads.
            compute: carries it out.
            losses_of: its losses; compared to the record if it is carried out again.
            record_of: what is seen, as JSON can write it.
        """
        outcome, observable = self._outcome(key, inputs, compute, losses_of, record_of)
        if self.operations is None or outcome is None:
            return None, {}
        (record,) = self.operations.observe(observable)
        self._observations.add(record)
        return outcome, record

    def observe_more(self, key: str, outcome: Deferred[T] | None, record_of: Callable[[T], Record]) -> None:
        """A second observation of an outcome, under a key of its own: made on request, no part of the first.

        Args:
            key: of the observation.
            outcome: carried out again if the journal knows its own record and not this one.
            record_of: what is seen, as JSON can write it.
        """
        if self.operations is None or outcome is None:
            return
        (seen,) = self.operations.observe(Observable(key, (outcome,), lambda: record_of(outcome.value)))
        self._observations.add(seen)

    def outcome_observed_later(
        self,
        key: str,
        inputs: Sequence[Keyed[Any]],
        compute: Callable[[Engine], T],
        losses_of: Callable[[T], Sequence[LossRow]],
        record_of: Callable[[T], Record],
    ) -> Deferred[T] | None:
        """As `observed_outcome` for one of many operations side by side, which `catch_up` observes together."""
        outcome, observable = self._outcome(key, inputs, compute, losses_of, record_of)
        if outcome is not None:
            self._unobserved.append(observable)
        return outcome

    def catch_up(self) -> None:
        """Observes the operations that were left for later, together."""
        if not self._unobserved or self.operations is None:
            return
        waiting, self._unobserved = self._unobserved, []
        for record in self.operations.observe(*waiting):
            self._observations.add(record)

    def observe(self, key: str, needed: Sequence[Keyed[Any]], record: Callable[[Engine], Record]) -> None:
        """Observes an operation that has no value, such as an evaluation; nothing in a dry run."""
        operations = self.operations
        if operations is None:
            return
        inputs = [found for value in needed if (found := value.deferred) is not None]
        (seen,) = operations.observe(Observable(key, inputs, lambda: record(operations.engine)))
        self._observations.add(seen)

    def end_round(self, round: int, states: Callable[[], Mapping[str, Keyed[SideState]]]) -> None:
        """Closes a round; see `Operations.end_round`."""
        self.catch_up()
        if self.operations is not None:
            self.operations.end_round(round, states)

    def _outcome(
        self,
        key: str,
        inputs: Sequence[Keyed[Any]],
        compute: Callable[[Engine], T],
        losses_of: Callable[[T], Sequence[LossRow]],
        record_of: Callable[[T], Record],
    ) -> tuple[Deferred[T] | None, Observable]:
        operations = self.operations
        if operations is None:
            return None, Observable(key, (), dict)

        def checked(engine: Engine) -> T:
            made = compute(engine)
            operations.check(key, losses_of(made))
            return made

        outcome = operations.defer(inputs, checked)
        return outcome, Observable(key, (outcome,), lambda: record_of(outcome.value))
