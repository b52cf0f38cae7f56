"""A channel's steps, looked at one by one as a link takes them: the channel may be a user's own."""

from __future__ import annotations

import math

from gapslsim.errors import NetworkError, StalledError
from gapslsim.network.channel import Steps

__all__ = ["checked"]

_LOOKED_AT = 100_000
_SHORT_S = 1e-6


def checked(name: str, steps: Steps) -> Steps:
    """The steps as they are.

    Args:
        name: of the link.
        steps: of its channel.

    Raises:
        NetworkError: for a time or rate that is none.
        StalledError: if the steps are so short that time would hardly go on: a microsecond on average is the least.
    """
    before_s, looked_s = -1.0, 0.0
    for place, step in enumerate(steps):
        try:
            time_s, rate = step
            is_later, is_rate = before_s < time_s < math.inf, 0 <= rate < math.inf
        except (TypeError, ValueError):
            raise _wrong(name, place, f"is {step!r}; yield pairs (time [s], rate [bit/s])") from None
        if place == 0 and time_s != 0:
            raise _wrong(name, place, f"is at {time_s!r} s; the first is at 0 s")
        if not is_later:
            after = f"after {before_s:g} s" if place else "at the beginning"
            raise _wrong(name, place, f"is at {time_s!r} s, {after}; times must be finite and grow")
        if not is_rate:
            raise _wrong(name, place, f"has the rate {rate!r} bit/s; it must be finite and 0 or more")
        if place and place % _LOOKED_AT == 0:
            if time_s - looked_s < _LOOKED_AT * _SHORT_S:
                raise StalledError(
                    f"{name}: {_LOOKED_AT} steps of its channel cover {time_s - looked_s:g} s, so that time hardly "
                    "goes on; make the steps a microsecond long or more"
                )
            looked_s = time_s
        yield step
        before_s = time_s
    if before_s < 0:
        raise NetworkError(f"{name}: its channel has no steps; yield (0.0, rate) at first.")


def _wrong(name: str, place: int, what: str) -> NetworkError:
    return NetworkError(f"{name}: step {place} of its channel {what}.")
