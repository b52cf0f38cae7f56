"""Invariants of availabilities: what `changes` yields is a presence over time, the same for the same stream."""

from __future__ import annotations

import math
from itertools import islice

from gapslsim.checks._timeline import begins_at_zero, is_the_same_again, lasts, times_ascend
from gapslsim.checks.check import require
from gapslsim.rng import stream
from gapslsim.sim.availability import Availability

_N_CHANGES = 500
_SHORT_S = 1e-3


def _changes(availability: Availability, client: int = 1) -> list[tuple[float, bool]]:
    return list(islice(availability.changes(client, stream(1, "availability", client)), _N_CHANGES))


def changes_begin_at_zero(availability: Availability) -> None:
    """The first change is at 0 s.

    Yield (0.0, whether the client is there) at first.
    """
    begins_at_zero(_changes(availability), "change")


def times_grow(availability: Availability) -> None:
    """Times are finite and grow from change to change.

    Each time is later than the one before. Times count from the start of the run, they are no durations.
    """
    times_ascend(_changes(availability), "change")


def presence_is_yes_or_no(availability: Availability) -> None:
    """Presence is True or False.

    Yield pairs (time [s], bool).
    """
    for at_s, there in _changes(availability):
        require(isinstance(there, bool), f"at {at_s:g} s it is {there!r}")


def changes_come_from_the_stream(availability: Availability) -> None:
    """The same client and stream give the same changes.

    Draw from `random` alone, and remember in local variables of `changes`.
    """
    is_the_same_again(_changes(availability), _changes(availability), "change")


def stays_are_not_too_short(availability: Availability) -> None:
    """Stays and absences last a millisecond or more on average, so that something can be done in them.

    Times are in seconds.
    """
    lasts(_changes(availability), "change", _SHORT_S)


def the_battery_is_one(availability: Availability) -> None:
    """A battery holds what it says: 0 < level <= capacity, 0 < resume <= capacity, and it is charged with 0 W or more.

    Say None for no battery.
    """
    battery = availability.battery
    if battery is not None:
        capacity_j, level_j, charging_w, resume_j = battery
        holds = (
            0 < level_j <= capacity_j < math.inf and 0 < resume_j <= capacity_j and 0 <= charging_w < math.inf
        )
        require(holds, f"it is {battery}")
