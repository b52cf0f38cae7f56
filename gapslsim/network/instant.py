"""Makes an event happen within the present one, where simpy would queue it for the same instant."""

from __future__ import annotations

from typing import Any

import simpy
from simpy.core import StopSimulation

__all__ = ["happen"]


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
