"""What is known of a sample and asked of the model: one class, several labels, or numbers."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.errors import DataError

__all__ = ["MEANING", "Target", "sound_rows"]

Target = Literal["class", "labels", "numbers"]

MEANING: Final[dict[Target, str]] = {
    "class": "one class per sample",
    "labels": "several labels per sample, 0 or 1 each",
    "numbers": "numbers",
}
"""In words, for messages."""


def sound_rows(
    given: Any, name: str, target: Literal["labels", "numbers"], width: int | None = None
) -> NDArray[Any]:
    """One row per sample: labels as int64 of 0 and 1, or numbers as float64, [n, width]; [n] becomes [n, 1].

    Args:
        given: anything that NumPy makes an array of.
        name: of the split, for messages.
        target: what they are.
        width: how many there are per sample, if that is to be checked.

    Raises:
        DataError: if they are something else.
    """
    rows = np.asarray(given)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or not rows.shape[1]:
        raise DataError(
            f"The {name} labels have shape {rows.shape}; for target: {target} give [n] or [n, k], a row per sample."
        )
    if rows.dtype.kind not in "fiub":
        raise DataError(
            f"The {name} labels are of type {rows.dtype}; target: {target} means numbers ({MEANING[target]})."
        )
    if width is not None and rows.shape[1] != width:
        raise DataError(
            f"The {name} labels have {rows.shape[1]} values per sample, expected {width}; make them equal in all sets."
        )
    bad = ~(np.isin(rows, (0, 1)) if target == "labels" else np.isfinite(rows))
    if bad.any():
        sample, place = np.argwhere(bad)[0].tolist()
        rule = "0 or 1, for target: labels" if target == "labels" else "finite, for target: numbers"
        raise DataError(
            f"The {name} label of sample {sample} is {rows[sample, place]} at {place}; each must be {rule}. Correct "
            "it, or leave such samples out."
        )
    return rows.astype(np.int64 if target == "labels" else np.float64)
