"""Which values a stored table may hold; a run writes no others, so that what holds them is damaged or forged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gapslsim.results.stored_json import LARGEST

__all__ = ["unsound"]

_ANYTHING: Final = r"loss|\w+_norm|norm_ratio|\w+_bit_per_s"
"""NaN and infinity, too: a model may diverge, a link may have no limit."""
_SHARES: Final = r"accuracy|probability|\w+_share|conflicting_pairs|selection_ratio"
"""In [0, 1]; NaN where there is none."""
_MAYBE: Final = r"\w+_rad|cos_to_mean|\w+_rank|value|baseline_value|latency_s|back_s|time_to_\w+"
"""NaN where there is none."""
_MOST: Final = {"y": 63, "x": 63, "channel": 2, **dict.fromkeys(("original", "reconstruction", "guess"), 255)}
"""Of pixels of pictures: small ones are kept, and memory is set aside for what their places say."""
_Bad = NDArray[np.bool_]
_CLIENTS: Final = ("client", "other")
_MOST_CLIENTS: Final = 2**31
_QUANTITY: Final = r"simulated_time_s|energy_j|time_to_accuracy(?:_after)?_s [-+.\de]+|z .+"


def unsound(table: pd.DataFrame, columns: Mapping[str, type], n_clients: int | None = None) -> str:
    """The first value that cannot be, in words with its column and row; empty if there is none.

    Args:
        table: with at least these columns, of the right types.
        columns: names with their Python types; of `object` anything is sound.
        n_clients: of the run; unless given, clients may have any number.
    """
    for name, kind in columns.items():
        if kind is str:
            bad = _bad_texts(table[name], name, n_clients)
        elif kind in (bool, object):
            continue
        else:
            bad = _bad_numbers(table[name].to_numpy(), name, n_clients)
        if len(rows := np.flatnonzero(bad)):
            return f"has {str(table[name].iloc[rows[0]])[:40]!r} as {name} in row {rows[0]}"
    return ""


def _bad_numbers(values: NDArray[Any], name: str, n_clients: int | None) -> _Bad:
    low: float
    high: float
    if name in _CLIENTS:
        low, high, spared = -1, _MOST_CLIENTS if n_clients is None else n_clients - 1, ""
    elif name in _MOST:
        low, high, spared = 0, _MOST[name], ""
    elif re.fullmatch(_ANYTHING, name):
        low, high, spared = -LARGEST, LARGEST, "NaN, infinity"
    elif re.fullmatch(_SHARES, name):
        low, high, spared = 0, 1, "NaN"
    elif re.fullmatch(_MAYBE, name):
        low, high, spared = -LARGEST, LARGEST, "NaN"
    else:
        low, high, spared = 0, LARGEST, ""
    if values.dtype.kind not in "biuf":  # dates and the like
        return np.ones(len(values), bool)
    good = (values >= low) & (values <= high)
    if values.dtype.kind == "f" and spared:
        good |= np.isnan(values) if spared == "NaN" else ~np.isfinite(values)
    bad: _Bad = np.logical_not(good)
    return bad


def _bad_texts(values: pd.Series[str], name: str, n_clients: int | None) -> _Bad:
    codes, known = pd.factorize(values, use_na_sentinel=False)
    of_known: _Bad = np.array([_is_bad(text, name, n_clients) for text in known], dtype=bool)
    bad: _Bad = of_known[codes]
    return bad


def _is_bad(text: object, name: str, n_clients: int | None) -> bool:
    if not isinstance(text, str):
        return True
    if name == "quantity":
        return re.fullmatch(_QUANTITY, text) is None
    if name == "known_from":
        return text not in ("test", "train", "client")
    client = re.fullmatch(r"client-(\d+)", text) if name == "actor" else None
    return client is not None and n_clients is not None and int(client[1]) >= n_clients
