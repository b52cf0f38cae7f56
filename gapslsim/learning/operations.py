"""Carries out the operations of a learner: at once, in waves, or only when their values are needed; or not at all.

A journal makes operations lazy: one whose observations are known is not computed, and its value waits. The first
operation that is not known asks for its inputs, and what they depend on is computed, back to the nearest checkpoint.
In a dry run there are keys and sizes alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from gapslsim.learning._observations import Observations, Seen
from gapslsim.work import NO_VALUE, Deferred, Keyed

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine
    from gapslsim.learning.journal.journal import Journal
    from gapslsim.learning.state import SideState

__all__ = ["Alike", "Operations"]

T = TypeVar("T")
V = TypeVar("V")
Record = dict[str, Any]


@dataclass(slots=True, eq=False)
class Alike(Generic[T]):
    """How an operation is computed of which the engine takes several at once."""

    many: Callable[[Engine, list[Any]], list[T]]
    """From the engine and calls to their results in order; operations with the same one may go together."""
    call: Callable[[], Any]
    """Gives this operation's call, once its inputs are there."""

    def __call__(self, engine: Engine) -> T:
        """Computes this one alone."""
        return self.many(engine, [self.call()])[0]


class _Observable(NamedTuple):
    """An operation that lets us see something."""

    key: str
    inputs: Sequence[Deferred[Any]]
    """Values to bring about first."""
    record: Callable[[], Record]
    """Computes it and says what is seen, as JSON can write it."""
    fits: Callable[[Seen], bool] = bool
    """Whether what a journal has is that of such an operation."""


class Operations:
    """Keyed values of one run, what they let us see, and the journal that knows some of them.

    Args:
        engine: does the tensor work, or makes what does it when it is first needed; None for a dry run.
        journal: what is known already and where to add; None for a run on its own.
    """

    def __init__(self, engine: Engine | Callable[[], Engine] | None, journal: Journal | None = None) -> None:
        self.journal = journal
        self.is_dry = engine is None
        """Whether there are keys and sizes alone."""
        self._make_engine = engine if callable(engine) else None
        self._engine: Engine | None = None if callable(engine) else engine
        self._observations = Observations()
        self._unobserved: list[_Observable] = []
        self._waiting: dict[Deferred[Any], None] = {}
        # Until they are there: what is done is held by who needs it, and by nobody else.
        self._spent_s = 0.0
        self._has_computed = False
        self._n_replayed = 0

    @property
    def engine(self) -> Engine:
        """Does the tensor work; made when first needed."""
        if self._engine is None:
            assert self._make_engine is not None
            self._engine = self._make_engine()
        return self._engine

    @property
    def in_waves(self) -> bool:
        """Independent operations wait for each other and are carried out together; otherwise each at once."""
        return self._engine is not None and self._engine.in_waves

    @property
    def observed(self) -> Observations:
        """What training let us see so far."""
        self.catch_up()
        return self._observations

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
        """The value of an operation.

        Args:
            key: content key of the operation.
            size_bytes: of the value.
            inputs: what `compute` reads.
            compute: makes the value.
            is_state: it may be read from a checkpoint that holds it.
            light: picks a part of another value; not worth a thread of its own.
        """
        if self.is_dry:
            return Keyed(key, size_bytes)
        return Keyed(key, size_bytes, self.held(key, inputs, compute, is_state=is_state, light=light))

    def held(
        self,
        key: str,
        inputs: Sequence[Keyed[Any] | Deferred[Any]],
        compute: Callable[[Engine], T],
        *,
        is_state: bool = False,
        light: bool = False,
    ) -> T | Deferred[T]:
        """As `keyed`, without key and size, for a message of another class."""
        if self.is_dry:
            return cast("T", NO_VALUE)
        if is_state and self.journal is not None:
            checkpoint = self.journal.holding(key)
            if checkpoint is not None:
                inputs, light = (), True
                compute = lambda engine: checkpoint.state(key)  # type: ignore[assignment, return-value]  # noqa: E731
        return self._defer(inputs, compute, light=light)

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
        if whole is None:
            return Keyed(key, size_bytes)
        return self.keyed(
            key, size_bytes, (whole,), lambda _: pick(whole.value), is_state=is_state, light=True
        )

    def outcome(
        self,
        key: str,
        inputs: Sequence[Keyed[Any]],
        compute: Callable[[Engine], T],
        record_of: Callable[[T], Record],
        *,
        later: bool = False,
        fits: Callable[[Seen], bool] = bool,
    ) -> tuple[Deferred[T] | None, Record]:
        """An operation that lets us see something: its outcome, and its record, from the journal if it is known.

        Args:
            key: of the operation.
            inputs: what it reads.
            compute: carries it out.
            record_of: what is seen, as JSON can write it; compared to what a journal holds, if the operation is carried
                out again.
            later: it is one of many operations side by side, which `catch_up` observes together; no record yet.
            fits: whether what a journal has is that of such an operation.
        """
        if self.is_dry:
            return None, {}

        def checked(engine: Engine) -> T:
            made = compute(engine)
            if self.journal is not None:
                self.journal.compare(key, lambda: record_of(made))
            return made

        outcome = self._defer(inputs, checked)
        self._unobserved.append(_Observable(key, (outcome,), lambda: record_of(outcome.value), fits))
        return outcome, {} if later else self.catch_up()[-1]

    def observe(
        self,
        key: str,
        needed: Sequence[Keyed[Any] | Deferred[Any] | None],
        record: Callable[[Engine], Record],
        fits: Callable[[Seen], bool] = bool,
    ) -> None:
        """Observes what has no value of its own, such as an evaluation; nothing in a dry run.

        Args:
            key: of the observation.
            needed: what is read; brought about if the journal does not know the record.
            record: what is seen, as JSON can write it.
            fits: whether what a journal has is that of such an observation.
        """
        if self.is_dry:
            return
        found = (given if isinstance(given, Deferred) else given.deferred for given in needed if given)
        inputs = [given for given in found if given is not None]
        self._unobserved.append(_Observable(key, inputs, lambda: record(self.engine), fits))
        self.catch_up()

    def catch_up(self) -> list[Record]:
        """Observes what was left for later, together: from the journal, or by computing what is not known."""
        if not self._unobserved:
            return []
        wanted, self._unobserved = self._unobserved, []
        journal = self.journal
        found: dict[str, Record | None] = (
            {} if journal is None else {one.key: journal.get(one.key, one.fits) for one in wanted}
        )
        if unknown := {one.key: one.fits for one in wanted if found.get(one.key) is None}:
            # What another process is computing right now is waited for, and not computed twice.
            with nullcontext(()) if journal is None else journal.computing(unknown) as news:
                found.update(news)
                self._compute([one for one in wanted if found.get(one.key) is None], found)
        records: list[Record] = [cast("Record", found[one.key]) for one in wanted]
        for record in records:
            self._observations.add(record)
        return records

    def _compute(self, unknown: Sequence[_Observable], found: dict[str, Record | None]) -> None:
        """Computes together what nobody has, and adds what is seen."""
        self._has_computed |= bool(unknown)
        self._bring_about([value for one in unknown for value in one.inputs])
        for one in unknown:
            found[one.key] = self._observe_now(one)

    @contextmanager
    def aside(self) -> Iterator[Observations]:
        """What is seen inside is held back, for `take_over`; only without a journal, whose records are for good."""
        self.catch_up()
        here, self._observations = self._observations, Observations()
        try:
            yield self._observations
            self.catch_up()
        finally:
            self._observations, self._unobserved = here, []

    def take_over(self, observed: Observations) -> None:
        """Adds what was held back."""
        for record in observed.records:
            self._observations.add(record)

    def end_round(self, round: int, states: Callable[[], Mapping[str, Keyed[SideState]]]) -> None:
        """Closes a round: if something was computed nothing of it waits, and a checkpoint is written if one is due.

        Args:
            round: that ends.
            states: gives every state that a later operation can begin with, by key.
        """
        self.catch_up()
        if not self._has_computed:
            self._waiting.clear()
            return
        started = time.perf_counter()
        self._resolve(list(self._waiting))
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
            self._resolve(list(self._waiting))
        here = {
            key: state.value for key, state in states.items() if not state.deferred or state.deferred.done
        }
        if here:
            self.journal.checkpoint(here, round)

    def _defer(
        self,
        inputs: Sequence[Keyed[Any] | Deferred[Any]],
        compute: Callable[[Engine], T],
        *,
        light: bool = False,
    ) -> Deferred[T]:
        """A value that waits if its inputs do, or for its wave; otherwise it is computed now."""
        made = Deferred(compute, inputs, self._resolve, light)
        lazy = self.in_waves or self.journal is not None  # What a journal knows may never be needed.
        if (lazy and not light) or not inputs or made.missing():
            if lazy:
                self._waiting[made] = None
        else:
            self._run([made])
        return made

    def _bring_about(self, values: Sequence[Deferred[Any]]) -> None:
        """Computes inputs; after a replay this rebuilds what lies behind, which is not the operation's own time."""
        started = time.perf_counter()
        self._resolve(values)
        took_s = time.perf_counter() - started
        if self.journal is not None and self.journal.n_replayed > self._n_replayed:
            self._n_replayed = self.journal.n_replayed
            self.journal.rebuilt_s += took_s
        else:
            self._spent_s += took_s

    def _observe_now(self, one: _Observable) -> Record:
        started = time.perf_counter()
        record = one.record()
        if self.journal is not None:
            self.journal.put(one.key, record, self._spent_s + time.perf_counter() - started)
        self._spent_s = 0.0
        return record

    def _resolve(self, wanted: Sequence[Deferred[Any]]) -> None:
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
                self._waiting.pop(value, None)
                del missing[value]
                for dependent in dependents.pop(value, ()):
                    missing[dependent] -= 1
                    if not missing[dependent]:
                        ready.append(dependent)

    def _run(self, wave: list[Deferred[Any]]) -> None:
        """Computes values that do not depend on one another; the engine may do so side by side."""
        engine = self.engine
        if engine.stacks_clients:
            wave = self._run_alike(wave)
        heavy = [value for value in wave if not value.light]
        if len(heavy) > 1:
            calls = [lambda value=value: value.compute(engine) for value in heavy]
            for value, result in zip(heavy, engine.workers.together(calls), strict=True):
                value.settle(result)
            wave = [value for value in wave if value.light]
        for value in wave:
            value.settle(value.compute(engine))

    def _run_alike(self, wave: list[Deferred[Any]]) -> list[Deferred[Any]]:
        """Computes values of one kind together, kind by kind; returns the others."""
        kinds: dict[Any, list[tuple[Deferred[Any], Alike[Any]]]] = {}
        others = []
        for value in wave:
            how = value.how
            if isinstance(how, Alike):
                kinds.setdefault(how.many, []).append((value, how))
            else:
                others.append(value)
        for many, members in kinds.items():
            results = many(self.engine, [how.call() for _, how in members])
            for (value, _), result in zip(members, results, strict=True):
                value.settle(result)
        return others
