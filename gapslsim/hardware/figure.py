"""A number of a profile that says where it comes from."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import StringConstraints

from gapslsim.registry import component

__all__ = ["Figure", "Status"]

T = TypeVar("T")

Status = Literal["measured", "published", "fitted", "assumed"]
"""How a number was come by: measured on this device (here or by a public source), published by the maker or in
a database, fitted to measurements by a calibration, or assumed (carried over from another device, or a rule)."""


@component
class Figure(Generic[T]):
    """One number with its status and source."""

    value: T
    """The number, with its unit."""
    status: Status
    """measured, published, fitted or assumed."""
    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """Where it comes from: data set and rows with the computation, data sheet, or the assumption in words."""
    standard_error: T | None = None
    """Standard error of a fitted number, in the unit of the value."""
