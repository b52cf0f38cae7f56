"""Fitted numbers as a profile holds them."""

from __future__ import annotations

from gapslsim.hardware.figure import Figure, Status

__all__ = ["figure_of", "six"]


def six(value: float) -> float:
    """To six digits: more would only say which machine fitted it."""
    return float(f"{value:.6g}")


def figure_of(value: float, error: float, source: str, status: Status = "fitted") -> Figure[float]:
    """A number with its standard error (0 or less if it has none), to six digits."""
    standard_error = six(error) if error > 0 else None
    return Figure(value=six(value), status=status, source=source, standard_error=standard_error)
