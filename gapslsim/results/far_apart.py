"""When curves of unlike length share an axis only if it is logarithmic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["are_far_apart"]

_FACTOR: Final = 8.0


def are_far_apart(ends: Iterable[float]) -> bool:
    """Whether the places where curves end differ by more than a factor of 8; those at 0 do not count."""
    positive = [end for end in ends if end > 0]
    return bool(positive) and max(positive) > _FACTOR * min(positive)
