"""Characters as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gapslsim.errors import DataError

__all__ = ["codes", "letters_of"]


def letters_of(text: str) -> str:
    """The different characters of a text, in the order of Unicode."""
    return "".join(sorted(set(text)))


def codes(texts: Sequence[str], letters: str, name: str) -> NDArray[np.int64]:
    """Place of every character among `letters`, int64 [n, T]; characters that are none of them are refused.

    Raises:
        DataError: if the texts differ in length, or hold another character.
    """
    lengths = {len(text) for text in texts}
    if len(lengths) != 1 or 0 in lengths:
        raise DataError(
            f"{name}: the texts have {min(lengths)} to {max(lengths)} characters; cut them to one length."
        )
    known = np.array([ord(letter) for letter in letters])
    given = np.array([[ord(letter) for letter in text] for text in texts])
    places = np.searchsorted(known, given).clip(max=len(known) - 1)
    strange = np.argwhere(known[places] != given)
    if len(strange):
        n, t = strange[0]
        raise DataError(
            f"{name}: {texts[n][t]!r} in text {n} is no character of the training set; leave it out."
        )
    return places
