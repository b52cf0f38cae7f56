"""When a run came to an accuracy: between the last evaluation below it and the first at or above."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gapslsim.results import words

__all__ = ["MORE_OFTEN", "Crossing", "at_one_evaluation", "crossing", "crossing_of"]

MORE_OFTEN: Final = (
    "Nothing tells which came when; evaluate more often (evaluation.every), or near targets alone "
    "(evaluation.near_targets)."
)


class Crossing(NamedTuple):
    """Two evaluations and what lies between them; nobody looked in between."""

    after: float
    """At the last evaluation below; that of `by` if the first of all was there, NaN if it is not known."""
    by: float
    """At the first evaluation at or above."""
    interpolated: float
    """Where a straight line between the two comes to the accuracy."""

    def words(self, say: Callable[[float], str]) -> str:
        """`4.08 .. 4.71 s`; `by 4.71 s` where the evaluation before is not known."""
        if math.isnan(self.after):
            return f"by {say(self.by)}"
        if self.after == self.by:
            return say(self.by)
        first, unit = say(self.after).rsplit(" ", 1)
        last = say(self.by)
        return f"{first} .. {last}" if last.endswith(f" {unit}") else f"{first} {unit} .. {last}"


def crossing(spent: Sequence[float], accuracy: Sequence[float], target: float) -> Crossing | None:
    """The first time that an accuracy is reached; None if it never is.

    Args:
        spent: by each evaluation, in order: time, say.
        accuracy: at each.
        target: to be reached.
    """
    place = next((index for index, found in enumerate(accuracy) if found >= target), None)
    if place is None:
        return None
    by = float(spent[place])
    if place == 0:
        return Crossing(by, by, by)
    after, low, high = float(spent[place - 1]), accuracy[place - 1], accuracy[place]
    return Crossing(after, by, float(after + (by - after) * (target - low) / (high - low)))


def crossing_of(summary: Mapping[str, Any], target: str) -> Crossing | None:
    """What a summary says of a target; those of earlier versions know the first evaluation above alone."""
    by = summary["time_to_accuracy_s"].get(target)
    if by is None:
        return None
    within = (summary.get("time_to_accuracy_within_s") or {}).get(target)
    return Crossing(math.nan, by, math.nan) if within is None else Crossing(**within)


def at_one_evaluation(summary: Mapping[str, Any]) -> str:
    """Which targets one evaluation was the first to see, and what to do about it; empty if there are none."""
    seen: dict[float, list[str]] = {}
    for target in sorted(summary["time_to_accuracy_s"], key=float):
        if by := summary["time_to_accuracy_s"][target]:
            seen.setdefault(by, []).append(words.percent(float(target)))
    told = [
        f"{words.listed(names)} ({words.plain_seconds(by)})" for by, names in seen.items() if len(names) > 1
    ]
    if not told:
        return ""
    return f"Seen first at one evaluation: {'; '.join(told)}. {MORE_OFTEN}"
