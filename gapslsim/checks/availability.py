"""Invariants of availabilities: what `changes` yields is a presence over time, the same for the same stream."""

from __future__ import annotations

import math
from itertools import islice, pairwise

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
    changes = _changes(availability)
    require(changes, "changes yields nothing")
    require(changes[0][0] == 0, f"the first change is at {changes[0][0]!r} s")


def times_grow(availability: Availability) -> None:
    """Times are finite and grow from change to change.

    Each time is later than the one before. Times count from the start of the run, they are no durations.
    """
    for index, ((before_s, _), (at_s, _)) in enumerate(pairwise(_changes(availability)), 1):
        require(
            math.isfinite(at_s) and at_s > before_s, f"change {index} is at {at_s!r} s, after {before_s!r} s"
        )


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
    one, other = _changes(availability), _changes(availability)
    first = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    require(one == other, f"change {first} differs the second time")


def stays_are_not_too_short(availability: Availability) -> None:
    """Stays and absences last a millisecond or more on average, so that something can be done in them.

    Times are in seconds.
    """
    changes = _changes(availability)
    if len(changes) > 1:
        mean_s = changes[-1][0] / (len(changes) - 1)
        require(mean_s >= _SHORT_S, f"{len(changes)} changes cover {changes[-1][0]:g} s, {mean_s:g} s each")


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
