"""What the values of a study's axis are, by their names: numbers, quantities with a unit, truth values, or names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from gapslsim.units import unit_factor

__all__ = ["AxisValues", "axis_values", "is_number"]

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_QUANTITY: Final = re.compile(rf"({_NUMBER})\s*([A-Za-zµ/%]*)")
_TRUTH: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class AxisValues:
    """Values of an axis in the order of the study."""

    names: tuple[str, ...]
    numbers: tuple[float, ...] = ()
    """What they are worth; empty where they are not all numbers, or two of them are the same one."""
    unit: str = ""
    """Of the numbers."""

    def label(self, axis: str) -> str:
        """The axis with its unit: `uplink [Mbit/s]`."""
        return f"{axis} [{self.unit}]" if self.unit else axis

    def number(self, name: str) -> float:
        """What a value is worth."""
        return self.numbers[self.names.index(name)]

    def column(self, chosen: Sequence[str]) -> pd.Series[Any]:
        """A column of tables: numbers and truth values as such, quantities as text that is sorted by its worth."""
        if self.numbers and not self.unit:
            whole = all(re.fullmatch(r"[-+]?\d{1,18}", name) for name in self.names)
            return pd.Series([*map(int if whole else float, chosen)], dtype="int64" if whole else "float64")
        if self.numbers:
            order = sorted(self.names, key=self.number)
            return pd.Series(pd.Categorical(chosen, pd.Index(order, dtype=str), ordered=True))
        if _TRUTH.keys() >= set(self.names):
            return pd.Series([_TRUTH[name] for name in chosen], dtype=bool)
        return pd.Series(chosen, dtype=str)


def axis_values(names: Sequence[str]) -> AxisValues:
    """What the values of these names are.

    Quantities count where all have the same unit, whatever it is, or units of the same kind: `500 kbit/s` and
    `2 Mbit/s`. Numbers are then in the unit of the first.
    """
    found = [_QUANTITY.fullmatch(name) for name in names]
    read = [(float(match[1]), match[2]) for match in found if match]
    if len(read) < len(names) or not read:
        return AxisValues(tuple(names))
    unit = read[0][1]
    factors = [unit_factor(other, unit) for _, other in read]
    numbers = [
        number * factor for (number, _), factor in zip(read, factors, strict=True) if factor is not None
    ]
    known = len(set(numbers)) == len(names)
    return AxisValues(tuple(names), tuple(numbers), unit) if known else AxisValues(tuple(names))


def is_number(name: str) -> bool:
    """Whether the name of a value is a bare number or a truth value, which says nothing without its axis."""
    return name in _TRUTH or re.fullmatch(_NUMBER, name) is not None
