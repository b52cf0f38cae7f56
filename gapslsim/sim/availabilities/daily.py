"""A client that is there at certain hours of the day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from gapslsim.registry import component
from gapslsim.sim.availability import Availability, availabilities
from gapslsim.units import Seconds

__all__ = ["Daily"]

_DAY_S = 86400.0


def _time_of_day(value: object) -> object:
    # YAML reads an unquoted 22:30 as the number 1350, base 60.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 24 * 60:
        value = f"{value // 60:02d}:{value % 60:02d}"
    if not isinstance(value, str) or not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d|24:00", value):
        raise ValueError(f"{value!r} is not a time of day; write hours and minutes, for instance '22:30'")
    return value


TimeOfDay = Annotated[str, BeforeValidator(_time_of_day)]


@availabilities.register
@component
class Daily(Availability):
    """There every day between two times of its local clock, such as at night while it charges."""

    kind: Literal["daily"] = "daily"
    begin: TimeOfDay = "22:00"
    """Local time at which it comes."""
    end: TimeOfDay = "06:00"
    """Local time at which it goes; earlier than `begin` means on the next day."""
    time_zone: Annotated[float, Field(ge=-14, le=14)] = 0.0
    """Hours that the client's clock is ahead of the simulation's."""
    starts_at: TimeOfDay = "00:00"
    """What the simulation's clock says at 0 s."""
    spread: Seconds = 0.0
    """Each client's hours lie up to so much earlier or later than said, drawn once per client, all equally likely."""

    @model_validator(mode="after")
    def _some_hours(self) -> Daily:
        if _seconds(self.begin) % _DAY_S == _seconds(self.end) % _DAY_S:
            raise ValueError(
                f"begin and end are both {self.begin}; for a client that is always there use kind: always"
            )
        return self

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """Day after day, for ever."""
        shift_s = float(random.uniform(-self.spread, self.spread)) if self.spread else 0.0
        shift_s -= 3600 * self.time_zone + _seconds(self.starts_at)
        come_s = (_seconds(self.begin) + shift_s) % _DAY_S
        stay_s = (_seconds(self.end) - _seconds(self.begin)) % _DAY_S
        # The stay that began yesterday may still go on.
        there = come_s + stay_s - _DAY_S > 0 or come_s == 0
        yield 0.0, there
        day = 0 if not there or come_s == 0 else -1
        if there:
            yield come_s + day * _DAY_S + stay_s, False
            day += 1
        while True:
            yield come_s + day * _DAY_S, True
            yield come_s + day * _DAY_S + stay_s, False
            day += 1


def _seconds(time_of_day: str) -> float:
    hours, minutes = time_of_day.split(":")
    return 3600.0 * int(hours) + 60.0 * int(minutes)
