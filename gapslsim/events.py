"""Everything that the house does with simpy beyond its public interface; checked against simpy 4.1.

simpy queues an event that is triggered now behind whatever else is queued for this instant, and offers no priority
after ordinary events. A barrier of a thousand processes would then take thousands of events that carry nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappush
from typing import Any, cast

import simpy
from simpy.core import StopSimulation
from simpy.events import NORMAL, URGENT, EventPriority

__all__ = [
    "DEADLINE",
    "FIRST",
    "LAST",
    "NORMAL",
    "call_at",
    "call_in",
    "forget_all",
    "happen",
    "only_priority",
    "resume",
]

FIRST = URGENT
"""Priority before ordinary events of an instant, as simpy's interrupts have it."""
LAST = cast(EventPriority, 2)
"""Priority after every ordinary event of an instant, so that all that happens at one instant can be seen at once."""
DEADLINE = cast(EventPriority, 3)
"""Priority after all else of an instant, so that what ends at the very instant of a deadline is in time."""


class _Call(simpy.Event):
    """An event that calls one function when it happens."""

    def __init__(self, env: simpy.Environment, function: Callable[[], None]) -> None:
        self.env = env
        self.callbacks = [lambda _: function()]
        self._ok = True
        self._value = None


def call_at(
    env: simpy.Environment, at_s: float, function: Callable[[], None], priority: EventPriority = NORMAL
) -> None:
    """Calls a function at an instant, to the last bit: a delay would be added to the time of now, and rounded.

    Args:
        env: the event loop.
        at_s: now or later; now is later at this same instant.
        function: called without arguments.
        priority: `FIRST`, `NORMAL`, `LAST` or `DEADLINE` among the events of that instant.
    """
    heappush(env._queue, (float(at_s), priority, next(env._eid), _Call(env, function)))


def call_in(
    env: simpy.Environment, delay_s: float, function: Callable[[], None], priority: EventPriority = NORMAL
) -> None:
    """Calls a function after a delay of 0 or more; see `call_at`."""
    call_at(env, env.now + delay_s, function, priority)


def happen(event: simpy.Event, value: object = None) -> None:
    """Triggers an event and calls back at once those who wait for it, in order.

    Only from a callback of another event, never from within a process: what waits goes on before this returns.
    """
    event._ok = True
    event._value = value
    waiting: list[Any] = event.callbacks or []
    event.callbacks = None  # type: ignore[assignment]
    for place, call in enumerate(waiting, 1):
        try:
            call(event)
        except StopSimulation:  # As simpy does it: who is left is called when the simulation goes on.
            event.callbacks = waiting[place:]
            event.env.schedule(event)
            raise


def resume(generator: Generator[simpy.Event, Any, object], event: simpy.Event | None) -> simpy.Event:
    """Lets a generator go on with what its event brought; returns the event that it waits for next.

    Args:
        generator: a process of the simulation.
        event: what it waited for, which has happened; None to start it.

    Raises:
        StopIteration: if it ends; its `value` is what it returned.
        Exception: what the generator raises, be it the error of the event.
    """
    if event is None:
        return next(generator)
    if event._ok:
        return generator.send(event._value)
    event.defused = True  # Somebody takes the error: simpy would otherwise end the simulation with it.
    return generator.throw(event._value)


def only_priority(env: simpy.Environment, priority: EventPriority) -> bool:
    """Whether nothing is to come but events of this priority."""
    return all(given == priority for _, given, _, _ in env._queue)


def forget_all(env: simpy.Environment) -> None:
    """Drops all events to come. They know who waits for them, and would keep that alive after a run."""
    env._queue.clear()
