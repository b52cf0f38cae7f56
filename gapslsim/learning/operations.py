"""Carries out the operations of a learner: at once, in waves, or only when their values are needed.

A journal makes operations lazy: one whose observations are known is not computed, and its value waits. The first
operation that is not known asks for its inputs, and what they depend on is computed, back to the nearest checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from gapslsim.errors import JournalError
from gapslsim.work import Deferred, Keyed

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine
    from gapslsim.learning.journal.journal import Journal
    from gapslsim.learning.state import SideState

__all__ = ["Alike", "Observable", "Operations"]

T = TypeVar("T")
Record = dict[str, Any]


class Observable(NamedTuple):
    """An operation that lets us see something."""

    key: str
    inputs: Sequence[Deferred[Any]]
    """Values to bring about first."""
    record: Callable[[], Record]
    """Computes it and says what is seen, as JSON can write it."""


class Alike(Generic[T]):
    """How an operation is computed of which the engine takes several at once.

    Args:
        method: of the engine; from calls to their results in order.
        call: gives this operation's call, once its inputs are there.
    """

    __slots__ = ("call", "method")

    def __init__(self, method: str, call: Callable[[], Any]) -> None:
        self.method = method
        self.call = call

    def __call__(self, engine: Engine) -> T:
        """Computes this one alone."""
        results: list[T] = getattr(engine, self.method)([self.call()])
        return results[0]


class Operations:
    """Deferred values of one run and the journal that knows some of them.

    Args:
        engine: does the tensor work, or makes what does it when it is first needed.
        journal: what is known already and where to add; None for a run on its own.
    """

    def __init__(self, engine: Engine | Callable[[], Engine], journal: Journal | None) -> None:
        self.journal = journal
        self.in_waves = False  # As the engine likes it.
        """Independent operations wait for each other and are carried out together; otherwise each at once."""
        self._engine: Engine | None = None if callable(engine) else engine
        if self._engine is not None:
            self.in_waves = self._engine.in_waves
        self._make_engine = engine
        self._waiting: list[Deferred[Any]] = []
        self._spent_s = 0.0
        self._has_computed = False
        self._n_replayed = 0

    @property
    def engine(self) -> Engine:
        """Does the tensor work; made when first needed."""
        if self._engine is None:
            assert callable(self._make_engine)
            self._engine = self._make_engine()
            self.in_waves = self._engine.in_waves
        return self._engine

    def keyed(
        self,
        key: str,
        size_bytes: int,
        inputs: Sequence[Keyed[Any] | Deferred[Any]],
        compute: Callable[[Engine], T],
        *,
        is_state: bool = False,
        light: bool = False,
    ) -> Keyed[T]:
        """The value of an operation; read from a checkpoint if it is a state that one holds."""
        if is_state and self.journal is not None:
            checkpoint = self.journal.holding(key)
            if checkpoint is not None:
                inputs, light = (), True
                compute = lambda engine: checkpoint.state(key)  # type: ignore[assignment, return-value]  # noqa: E731
        return Keyed(key, size_bytes, self.defer(inputs, compute, light=light))

    def defer(
        self,
        inputs: Sequence[Keyed[Any] | Deferred[Any]],
        compute: Callable[[Engine], T],
        *,
        light: bool = False,
    ) -> Deferred[T]:
        """A value that waits if its inputs do, or for its wave; otherwise it is computed now."""
        made = Deferred(compute, inputs, self.resolve, light)
        lazy = self.in_waves or self.journal is not None  # What a journal knows may never be needed.
        if (lazy and not light) or not inputs or made.missing():
            if lazy:
                self._waiting.append(made)
        else:
            self._run([made])
        return made

    def observe(self, *wanted: Observable) -> list[Record]:
        """What operations let us see: from the journal, or by computing them, those that are not known together."""
        journal = self.journal
        known = [None if journal is None else journal.get(one.key) for one in wanted]
        unknown = [one for one, record in zip(wanted, known, strict=True) if record is None]
        if unknown:
            self._has_computed = True
            self._catch_up([value for one in unknown for value in one.inputs])
        return [
            self._observe_now(one) if record is None else record
            for one, record in zip(wanted, known, strict=True)
        ]

    def _catch_up(self, values: Sequence[Deferred[Any]]) -> None:
        """Brings inputs about; after a replay this rebuilds what lies behind, which is not the operation's own time."""
        started = time.perf_counter()
        self.resolve(values)
        took_s = time.perf_counter() - started
        if self.journal is not None and self.journal.n_replayed > self._n_replayed:
            self._n_replayed = self.journal.n_replayed
            self.journal.rebuilt_s += took_s
        else:
            self._spent_s += took_s

    def _observe_now(self, one: Observable) -> Record:
        started = time.perf_counter()
        record = one.record()
        if self.journal is not None:
            self.journal.put(one.key, record, self._spent_s + time.perf_counter() - started)
        self._spent_s = 0.0
        return record

    def check(self, key: str, losses: Sequence[tuple[Any, ...]]) -> None:
        """Compares losses that were computed again to those that the journal holds.

        Raises:
            JournalError: if they differ: the journal cannot be continued here.
        """
        known = None if self.journal is None else self.journal.peek(key)
        if self.journal is None or known is None:
            return
        self.journal.n_rebuilt += 1
        if [tuple(row) for row in known["losses"]] == [tuple(row) for row in losses]:
            return
        raise JournalError(
            f"{self.journal.training.folder}: operation {key[:12]} was computed again and gave other losses than it "
            "holds. Results do not repeat bit for bit here; delete this folder, or run without a journal."
        )

    def end_round(self, round: int, states: Callable[[], Mapping[str, Keyed[SideState]]]) -> None:
        """Closes a round in which something was computed: nothing of it waits; a checkpoint if one is due.

        Args:
            round: that ends.
            states: gives every state that a later operation can begin with, by key.
        """
        if not self._has_computed:
            self._waiting.clear()
            return
        started = time.perf_counter()
        self.resolve(self._waiting)
        self._waiting.clear()
        self._has_computed = False
        self._spent_s += time.perf_counter() - started
        if self.journal is not None and self.journal.checkpoint_is_due(round):
            self.journal.checkpoint({key: state.value for key, state in states().items()}, round)

    def save(self, round: int, states: Mapping[str, Keyed[SideState]]) -> None:
        """Writes a checkpoint of the states that are there, if anything was computed; for an early end."""
        if self.journal is None or self._engine is None:
            return
        if self._has_computed:
            self.resolve(self._waiting)
        here = {
            key: state.value for key, state in states.items() if not state.deferred or state.deferred.done
        }
        if here:
            self.journal.checkpoint(here, round)

    def resolve(self, wanted: Sequence[Deferred[Any]]) -> None:
        """Computes values and all that they depend on, wave by wave, without recursion."""
        missing: dict[Deferred[Any], int] = {}
        dependents: dict[Deferred[Any], list[Deferred[Any]]] = {}
        stack = [value for value in wanted if not value.done]
        ready: list[Deferred[Any]] = []
        while stack:
            value = stack.pop()
            if value in missing:
                continue
            inputs = value.missing()
            missing[value] = len(inputs)
            if not inputs:
                ready.append(value)
            for needed in inputs:
                dependents.setdefault(needed, []).append(value)
                stack.append(needed)
        while ready:
            wave, ready = ready, []
            self._run(wave)
            for value in wave:
                del missing[value]
                for dependent in dependents.pop(value, ()):
                    missing[dependent] -= 1
                    if not missing[dependent]:
                        ready.append(dependent)

    def _run(self, wave: list[Deferred[Any]]) -> None:
        """Computes values that do not depend on one another; the engine may do so side by side."""
        engine = self.engine
        if getattr(engine, "stacks_clients", False):
            wave = self._run_alike(wave)
        heavy = [value for value in wave if not value.light]
        together = getattr(engine, "together", None)
        if together is not None and len(heavy) > 1:
            calls = [lambda value=value: value.compute(engine) for value in heavy]
            for value, result in zip(heavy, together(calls), strict=True):
                value.settle(result)
            wave = [value for value in wave if value.light]
        for value in wave:
            value.settle(value.compute(engine))

    def _run_alike(self, wave: list[Deferred[Any]]) -> list[Deferred[Any]]:
        """Computes values of one kind together, kind by kind; returns the others."""
        kinds: dict[str, list[tuple[Deferred[Any], Alike[Any]]]] = {}
        others = []
        for value in wave:
            how = value.how
            if isinstance(how, Alike):
                kinds.setdefault(how.method, []).append((value, how))
            else:
                others.append(value)
        for method, members in kinds.items():
            results = getattr(self.engine, method)([how.call() for _, how in members])
            for (value, _), result in zip(members, results, strict=True):
                value.settle(result)
        return others
