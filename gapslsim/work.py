"""The one small type in which clock and tensors meet.

`Work` is a computation: what it costs, from shapes, and the call that carries it out. A device holds
it for as long as its profile says and carries it out at completion. `Keyed` is a value with a content
key and an exact size: what travels over links and what states are made of. Its value may be `Deferred`: not computed
before somebody asks for it. None of them knows of torch or simpy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from gapslsim.errors import DryRunError

__all__ = [
    "NO_VALUE",
    "Cost",
    "Deferred",
    "Keyed",
    "LayerCost",
    "Phase",
    "Work",
    "content_key",
    "derived_key",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Phase = Literal["forward", "backward", "update", "other"]
"""What a cost is charged for: passes through layers, optimizer steps, or anything else (Gram matrix, averaging)."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer costs in one phase for one whole batch, from shapes alone."""

    name: str
    """Path of the layer in its model, or the name of the computation."""
    kind: str
    """Lower-case kind: conv2d, linear, norm, activation, pool, attention, embedding, reshape, optimizer, gram, ..."""
    phase: Phase
    work_flop: float
    """Floating-point operations [FLOP]; a multiply-accumulate counts as two."""
    moved_bytes: float
    """Bytes read and written: inputs, outputs and parameters, each once."""
    n_parameters: int = 0
    n_activations: int = 0
    """Elements of the layer's output for the whole batch."""
    batch_size: int = 1


@dataclass(frozen=True, eq=False)
class Cost:
    """A sequence of layer costs; compared and hashed by identity so that durations can be memoised.

    Args:
        layers: costs in order of execution.
        repeats: how many times the sequence is executed, for instance once per client on the server.
    """

    layers: tuple[LayerCost, ...] = ()
    repeats: int = 1
    parts: tuple[Cost, ...] = ()
    """Further costs executed after `layers`; each with its own repeats, inside this one's repeats."""

    @cached_property
    def work_flop(self) -> float:
        """Total floating-point operations [FLOP]."""
        own = sum(layer.work_flop for layer in self.layers) + sum(part.work_flop for part in self.parts)
        return self.repeats * own

    @cached_property
    def moved_bytes(self) -> float:
        """Total bytes read and written."""
        own = sum(layer.moved_bytes for layer in self.layers) + sum(part.moved_bytes for part in self.parts)
        return self.repeats * own

    def times(self, n: int) -> Cost:
        """This cost executed `n` times in a row."""
        return Cost(repeats=n, parts=(self,))

    def __add__(self, other: Cost) -> Cost:
        return Cost(parts=(self, other))

    def flat(self) -> Iterable[tuple[LayerCost, int]]:
        """Yields every layer cost with the number of times it is executed."""
        for layer in self.layers:
            yield layer, self.repeats
        for part in self.parts:
            for layer, n in part.flat():
                yield layer, n * self.repeats


NO_COST = Cost()


@dataclass(slots=True)
class Work(Generic[T]):
    """A computation that a device can hold and carry out; never changed (not frozen, which takes three times as long).

    Args:
        operation: name of the operation; becomes the phase of its span, for instance `client_forward`.
        cost: what it costs, from shapes.
        carry_out: reads what the operation needs and does it; called once, at the simulated completion. A cancelled
            work is never called.
        states: names of the states that it reads when it is carried out.
        n_batches: mini-batches of a training loop that it carries out, for what each costs beside its passes.
        n_samples: training samples that are read and augmented for it.
        more_s: what it takes on any device beside its cost [s].
    """

    operation: str
    cost: Cost
    carry_out: Callable[[], T]
    states: tuple[str, ...] = ()
    n_batches: int = 0
    n_samples: int = 0
    more_s: float = 0.0


NO_VALUE: Any = object()
"""Stands for the value in a dry run."""


class Deferred(Generic[T]):
    """A value that is computed when it is first asked for, from the values of others.

    Args:
        compute: makes the value from what the resolver hands it; called once, when all inputs are done.
        inputs: what `compute` reads; those that are done or plain are passed over.
        resolve: brings deferred values about, whatever they depend on, without recursion.
        light: picks a part of another value; not worth a thread of its own.
    """

    __slots__ = ("_compute", "_resolve", "_value", "done", "inputs", "light")

    def __init__(
        self,
        compute: Callable[[Any], T],
        inputs: Sequence[Keyed[Any] | Deferred[Any]],
        resolve: Callable[[Sequence[Deferred[Any]]], None],
        light: bool = False,
    ) -> None:
        self.inputs = inputs
        self.done = False
        self.light = light
        self._compute: Callable[[Any], T] | None = compute
        self._resolve = resolve
        self._value: T = NO_VALUE

    def missing(self) -> list[Deferred[Any]]:
        """The inputs that have to be brought about first."""
        found = [given if isinstance(given, Deferred) else given.deferred for given in self.inputs]
        return [given for given in found if given is not None and not given.done]

    @property
    def value(self) -> T:
        """The value; computed now if it has to be."""
        if not self.done:
            self._resolve((self,))
        return self._value

    @property
    def how(self) -> Callable[[Any], T] | None:
        """What makes the value; None once it is there."""
        return self._compute

    def compute(self, engine: Any) -> T:
        """Makes the value; for resolvers only, which then call `settle`."""
        assert self._compute is not None
        return self._compute(engine)

    def settle(self, value: T) -> None:
        """Keeps the value and lets go of everything that it was made from."""
        self._value, self.done = value, True
        self._compute, self.inputs = None, ()


@dataclass(slots=True, eq=False)
class Keyed(Generic[T_co]):
    """A value with its content key and exact size: a state, smashed data, a gradient, a message. Never changed.

    In a dry run the value is absent; key and size are the same as in the real run.
    """

    key: str
    size_bytes: int
    """Bytes of the tensors at their dtype; what a transfer of this value costs."""
    _value: T_co | Deferred[T_co] = field(default=NO_VALUE, repr=False)

    @property
    def value(self) -> T_co:
        """The value itself; computed now if it was deferred.

        Raises:
            DryRunError: if this run carries no tensors.
        """
        if self._value is NO_VALUE:
            raise DryRunError(f"'{self.key[:12]}' has no value: this is a dry run (timing only).")
        if isinstance(self._value, Deferred):
            return self._value.value
        return self._value

    @property
    def deferred(self) -> Deferred[T_co] | None:
        """What stands for the value until it is computed; None for a plain value or none."""
        return self._value if isinstance(self._value, Deferred) else None

    @property
    def held(self) -> T_co | Deferred[T_co]:
        """The value or what stands for it, for a message of another size; `NO_VALUE` in a dry run."""
        return self._value

    @property
    def has_value(self) -> bool:
        """Whether the value is here; False in a dry run."""
        return self._value is not NO_VALUE


_LONG = 300


def derived_key(key: str, *parts: str | int) -> str:
    """Key of what follows from an operation's result without another input: not hashed while it is short.

    Args:
        key: content key.
        parts: what it is, which one, with which settings; without the sign `/`.
    """
    for part in parts:
        key = f"{key}/{part}"
    return key if len(key) <= _LONG else hashlib.sha256(key.encode()).hexdigest()


_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode


def content_key(operation: str, settings: object, *inputs: str) -> str:
    """Key of an operation's result: a hash of its name, its settings and its inputs' keys (in order).

    Args:
        operation: name of the operation.
        settings: anything that JSON can write; floats are written exactly (shortest round-trip form).
        inputs: content keys of the inputs.
    """
    return hashlib.sha256(_write([operation, settings, inputs]).encode()).hexdigest()
