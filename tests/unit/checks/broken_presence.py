"""Availabilities and weights of staleness that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

import random as chance
from typing import Any, Literal

from gapslsim.checks import availability, staleness
from gapslsim.frameworks.staleness import Staleness
from gapslsim.registry import component
from gapslsim.sim.availability import Availability, Battery


@component
class There(Availability):
    """Always there."""

    kind: Literal["there"] = "there"

    def changes(self, client: int, random: Any) -> Any:
        yield 0.0, True


@component
class Fresh(Staleness):
    """All counts the same."""

    kind: Literal["fresh"] = "fresh"

    def function(self, staleness: int) -> float:
        return 1.0


def made(base: type[Any], **methods: Any) -> Any:
    return lambda: component(
        type("Broken", (base,), {"__module__": __name__, "__annotations__": {}, **methods})
    )()


def yielding(*changes: Any) -> Any:
    return made(There, changes=lambda self, client, random: iter(changes))


CASES: list[tuple[Any, Any, str]] = [
    (availability.changes_begin_at_zero, yielding((1.0, True)), "the first change is at 1.0 s"),
    (availability.changes_begin_at_zero, yielding(), "changes yields nothing"),
    (
        availability.times_grow,
        yielding((0.0, True), (2.0, False), (2.0, True)),
        "change 2 is at 2.0 s, after 2.0 s",
    ),
    (availability.presence_is_yes_or_no, yielding((0.0, 1)), "at 0 s it is 1"),
    (
        availability.changes_come_from_the_stream,
        made(There, changes=lambda self, client, random: iter([(0.0, True), (1 + chance.random(), False)])),
        "change 1 differs the second time",
    ),
    (availability.stays_are_not_too_short, yielding((0.0, True), (1e-6, False)), "2 changes cover 1e-06 s"),
    (
        availability.the_battery_is_one,
        made(There, battery=property(lambda self: Battery(5.0, 6.0, 0.0, 1.0))),
        "it is",
    ),
    (
        staleness.weights_are_shares,
        made(Fresh, function=lambda self, s: 1.0 + s),
        "the weight of staleness 1 is 2.0",
    ),
    (staleness.what_is_fresh_counts_in_full, made(Fresh, function=lambda self, s: 0.5), "it is 0.5"),
    (
        staleness.weights_do_not_grow,
        made(Fresh, function=lambda self, s: 0.5 if s == 1 else 1.0),
        "from 1 to 2 it grows from 0.5 to 1",
    ),
]
NOTES: list[tuple[Any, Any, str]] = []
