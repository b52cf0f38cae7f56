"""Turns cells into texts and numbers, and names those that cannot be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from gapslsim.calibration._columns import DIRECTIONS, NUMBERS, TEXTS, Column
from gapslsim.errors import Problem

__all__ = ["cells"]


def cells(frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[Problem]]:
    """The table with every column of the schema, typed; empty numbers are NaN, empty texts ''.

    Returns:
        The table, and a problem for each cell that is not what its column holds.
    """
    factors: dict[str, float] = frame.attrs.get("factors", {})
    out = pd.DataFrame(index=frame.index)
    problems: list[Problem] = []
    for name in TEXTS:
        # As objects: a column of categories, as Parquet has them, would stay one, and has no sums of texts.
        out[name] = frame[name].astype(object).map(_text) if name in frame else ""
    out["direction"] = out["direction"].str.lower().map(lambda text: DIRECTIONS.get(text, text))
    for name, rule in NUMBERS.items():
        if name not in frame:
            out[name] = np.nan
            continue
        out[name], wrong = _numbers(frame[name], name, rule, factors.get(name, 1.0), source)
        problems += wrong
    return out, problems


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return str(value).strip()


def _numbers(
    column: pd.Series, name: str, rule: Column, factor: float, source: str
) -> tuple[pd.Series, list[Problem]]:
    texts = column.astype(object).map(_text)
    # Cells may come as texts (CSV) or as numbers (parquet); by way of texts both are read alike.
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    unread = numbers.isna() & (texts != "")
    # Before the checks, whose bounds are in base units.
    numbers = numbers * factor
    bound = f"more than {rule.low:g}" if rule.strict else f"{rule.low:g} or more"
    broken = numbers.notna() & np.isfinite(numbers) & (numbers.round() != numbers)
    checks: list[tuple[pd.Series, Callable[[int], str]]] = [
        (unread, lambda row: _why_no_number(texts[row], name)),
        (numbers <= rule.low if rule.strict else numbers < rule.low,
         lambda row: f"must be {bound}, found {numbers[row]:g}; correct it"),
        ((numbers > rule.low) & (numbers < rule.least),
         lambda row: f"cannot be {numbers[row]:g}, less than {rule.least:g}; check the unit"),
        (numbers > rule.high,
         lambda row: f"cannot be above {rule.high:g}, found {numbers[row]:g}; check the unit"),
        (broken & rule.whole,
         lambda row: f"must be a whole number, found {numbers[row]:g}; correct it"),
    ]  # fmt: skip
    found = [
        Problem(name, why(row), source, int(row)) for wrong, why in checks for row in numbers.index[wrong]
    ]
    return numbers, found


def _why_no_number(text: str, name: str) -> str:
    if text.lower() in ("nan", "na", "n/a", "null", "none", "-"):
        return f"is {text!r}; leave the cell empty or put a number"
    if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?\s*[A-Za-zµ/]+", text):
        return f"is {text!r}: a cell holds a number alone; the unit is in the column's name ({name})"
    if "," in text:
        return f"is {text!r}; write decimals with a point and no separators"
    return f"is {text!r}, which is not a number; correct it"
