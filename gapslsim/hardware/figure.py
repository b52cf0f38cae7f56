"""A number of a profile that says where it comes from, and how sure it is."""

from __future__ import annotations

import math
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, StringConstraints, model_validator

from gapslsim.registry import component

__all__ = ["Figure", "Status"]

T = TypeVar("T")

Status = Literal["measured", "published", "fitted", "assumed"]
"""How a number was come by: measured on this device (here or by a public source), published by the maker or in
a database, fitted to measurements by a calibration, or assumed (carried over from another device, or a rule)."""


@component
class Figure(Generic[T]):
    """One number with its status, its source and, where that is known, its range.

    A figure without range has the spread of its standard error, else that of its status (`hardware/spread.py`).
    """

    value: T = Field(default=None)  # type: ignore[assignment] # never None: see _has_a_value
    """The number, with its unit; where it is left out, the geometric mean of `low` and `high`."""
    status: Status
    """measured, published, fitted or assumed."""
    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """Where it comes from: data set and rows with the computation, data sheet, or the assumption in words."""
    standard_error: T | None = None
    """Standard error of a fitted number, in the unit of the value."""
    low: T | None = None
    """Lower end of the range in which the true number lies in nine of ten cases, in the unit of the value."""
    high: T | None = None
    """Upper end of that range."""

    @model_validator(mode="after")
    def _has_a_value(self) -> Figure[T]:
        value, low, high = (_number(field) for field in (self.value, self.low, self.high))
        if low is None and high is None:
            if value is None:
                raise ValueError("value is missing; add it, or low and high")
            return self
        if low is None or high is None:
            there, missing = ("low", "high") if high is None else ("high", "low")
            raise ValueError(f"{there} is given without {missing}; give both ends of the range")
        if value is None and 0 < low <= high:
            value = math.sqrt(low * high)
            object.__setattr__(self, "value", value)
        if value is None or not 0 < low <= value <= high:
            found = f"low {low:g}, " + ("" if value is None else f"value {value:g}, ") + f"high {high:g}"
            raise ValueError(
                f"must have 0 < low <= value <= high, found {found}; put the range around the value"
            )
        return self


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
