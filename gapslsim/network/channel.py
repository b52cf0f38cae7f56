"""What a link asks of a channel: its rate over time, piecewise constant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from gapslsim.registry import Family
from gapslsim.units import json_schema_of

__all__ = ["Channel", "Steps", "channels"]

Steps = Iterator[tuple[float, float]]
"""(time [s], rate [bit/s]): the rate from that time until the next. Times grow strictly; there may be no last one."""


class Channel(ABC):
    """Settings of a channel; a pydantic component."""

    @abstractmethod
    def steps(self, random: np.random.Generator) -> Steps:
        """Yields (time [s], rate [bit/s]): the rate from that time until the next; the first time is 0.

        Times grow strictly. The sequence may be endless: a link reads it only as far as it is used, and skips ahead
        when it was idle. Randomness comes from `random` alone, in order of time.
        """

    @property
    def constant_bit_per_s(self) -> float | None:
        """The rate, if it never changes; then nothing is drawn and no stream is made."""
        return None

    def dies(self) -> str | None:
        """Why nothing may pass any more from some time on, in words, where that is known beforehand; else None."""
        return None

    def notes(self) -> list[str]:
        """What a user should know and nothing is wrong with, in words; `validate` tells it."""
        return []

    @property
    def mean_bit_per_s(self) -> float | None:
        """The long-run mean rate where it is known beforehand; used by `show topology` and routing."""
        return self.constant_bit_per_s


def _shorthand(value: Any) -> Any:
    """Turns `"40 Mbit/s"` (or, from Python, a number in bit/s) into a constant channel."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"kind": "constant", "rate": value}
    if isinstance(value, str) and any(letter in value for letter in "0123456789/"):
        return {"kind": "constant", "rate": value}
    return value


channels: Family[Channel] = Family(
    "channel", "gapslsim.network.channels", shorthand=_shorthand, short_schema=json_schema_of("bit/s")
)
"""A field of this family reads `40 Mbit/s` as `{kind: constant, rate: 40 Mbit/s}`."""
