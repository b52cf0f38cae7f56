"""Accuracy of each class, from what models say of its samples."""

from __future__ import annotations

from collections.abc import Iterable

from gapslsim.records import ClassRow, ConfusionRow

__all__ = ["per_class"]


def per_class(confusion: Iterable[ConfusionRow]) -> list[ClassRow]:
    """A row per evaluation, model and class that the test set has, in the order of `confusion`."""
    counts: dict[tuple[int, float, str, int, int], list[int]] = {}
    for row in confusion:
        count = counts.setdefault(row[:5], [0, 0])
        count[0] += row.n_samples
        count[1] += row.n_samples * (row.predicted == row.label)
    return [ClassRow(*place, n, right / n) for place, (n, right) in counts.items()]
