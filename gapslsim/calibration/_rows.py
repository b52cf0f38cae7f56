"""Checks whole rows: what is missing, what contradicts, what no device can do. Fills costs in from shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from gapslsim.calibration._columns import (
    COSTS,
    DIRECTIONS,
    MAX_BYTE_RATE,
    MAX_FLOP_RATE,
    MAX_LINK_RATE,
    PHASES,
    PSEUDO_KINDS,
)  # fmt: skip
from gapslsim.errors import Problem, did_you_mean

__all__ = ["row_problems"]

_Found = tuple[Any, str, str]
"""Row, column, and what is wrong."""
_SHAPE = re.compile(r"\d+(x\d+)*")
_PASSES = {"forward": 1.0, "backward": 2.0, "training": 3.0}
"""Work of a phase over that of the forward pass, where shapes are given."""
_FREE = ("call", "idle", "load", "iteration", "warm", "cold")
"""Kinds without a cost."""


def row_problems(frame: pd.DataFrame, source: str) -> list[Problem]:
    """Problems of rows; fills `frame` in place: costs from shapes, counts and batch sizes of 1."""
    problems = [Problem(column, why, source, int(row)) for row, column, why in _all(frame)]
    for name in ("count", "batch_size"):
        frame[name] = frame[name].fillna(1.0)
    frame[list(COSTS)] = frame[list(COSTS)].fillna(0.0)
    return problems + [Problem(column, why, source, int(row)) for row, column, why in _rates(frame)]


def _all(frame: pd.DataFrame) -> Iterator[_Found]:
    for row in frame.index[frame.device == ""]:
        yield row, "device", "is empty; name the device"
    is_link = frame.direction != ""
    for row, values in frame[is_link].iterrows():
        yield from ((row, column, why) for column, why in _link(values))
    compute = frame[~is_link]
    yield from _labels(compute)
    yield from _costs(frame, compute)
    yield from _samples(compute)


def _link(row: pd.Series) -> Iterator[tuple[str, str]]:
    if row.direction not in DIRECTIONS:
        known = ", ".join(DIRECTIONS)
        yield "direction", f"is {row.direction!r}; known: {known}.{did_you_mean(row.direction, DIRECTIONS)}"
    if math.isnan(row.duration_s) and math.isnan(row.round_trip_s):
        yield "duration_s", "is empty and so is round_trip_s; a row of a link needs one of them"
    if not math.isnan(row.duration_s):
        if math.isnan(row.size_bytes):
            yield "size_bytes", "is empty; say how many bytes were sent"
        elif row.duration_s > 0 and row.size_bytes / row.duration_s > MAX_LINK_RATE:
            yield "duration_s", _too_fast(row.size_bytes / row.duration_s, "B/s", MAX_LINK_RATE)
    if not math.isnan(row.time_s):
        yield "time_s", "is given in a row of a link; a link's time goes into duration_s"


def _labels(compute: pd.DataFrame) -> Iterator[_Found]:
    for row in compute.index[~compute.phase.isin(PHASES)]:
        text = compute.phase[row]
        found = f"is {text!r}" if text else "is empty"
        hint = did_you_mean(text, PHASES)
        hint = hint or (" Give a direction (up, down) in rows of links." if text == "link" else "")
        yield row, "phase", f"{found}; known: {', '.join(PHASES)}.{hint}"
    for row in compute.index[compute.kind == ""]:
        yield row, "kind", "is empty; name the kind of layer, for instance conv2d"
    for row in compute.index[compute.kind != compute.kind.str.lower()]:
        yield row, "kind", f"is {compute.kind[row]!r}; write kinds in lower case"
    for column in ("size_bytes", "duration_s", "round_trip_s"):
        for row in compute.index[compute[column].notna()]:
            yield row, column, "is given in a row without a direction; add it (up, down) or empty the cell"
    alone = compute[compute["sample"] == ""]
    for row in alone.index[alone.time_s.isna()]:
        yield row, "time_s", "is empty; put the time, or the name of the sample it was timed with"


def _costs(frame: pd.DataFrame, compute: pd.DataFrame) -> Iterator[_Found]:
    empty = compute[list(COSTS)].isna().all(axis=1) & ~compute.kind.isin(_FREE)
    for row, values in compute[empty].iterrows():
        shapes = {name: values[name] for name in ("in_shape", "weight_shape", "out_shape")}
        if not any(shapes.values()):
            fix = "fill in work_flop, moved_bytes, n_parameters and n_activations, or the shapes"
            yield row, "work_flop", f"no cost is given: {fix}"
            continue
        wrong = [
            name
            for name, text in shapes.items()
            if not _SHAPE.fullmatch(text) and (text or name != "weight_shape")
        ]
        for name in wrong:
            yield row, name, f"is {shapes[name]!r}; write a shape as 64x3x32x32"
        if wrong:
            continue
        for name, value in _costs_of_shapes(values, shapes).items():
            frame.loc[row, name] = value
            # In both: `compute` is a selection, thus a copy, and the checks that follow look at it.
            compute.loc[row, name] = value
    none = (
        (compute[["work_flop", "moved_bytes"]].fillna(0.0) == 0).all(axis=1)
        & ~compute.kind.isin(_FREE)
        & ~empty
    )
    for row in compute.index[none]:
        fix = "fill one in or leave the row out"
        yield row, "work_flop", f"FLOP and bytes are both 0: a layer that does nothing cannot be timed; {fix}"


def _costs_of_shapes(values: pd.Series, shapes: dict[str, str]) -> dict[str, float]:
    """Costs of a convolution or linear layer, a weight of shape (outputs, ...): each output takes one product each."""
    inputs, outputs = (_elements(shapes[name]) for name in ("in_shape", "out_shape"))
    passes = _PASSES.get(values.phase, 1.0)
    weight = shapes["weight_shape"]
    parameters, products = 0.0, 0.0
    if weight:
        parameters = _elements(weight)
        products = parameters / float(weight.split("x")[0])
    return {
        "work_flop": passes * outputs * (2.0 * products if weight else 1.0),
        "moved_bytes": passes * 4.0 * (inputs + outputs + parameters),
        "n_parameters": parameters,
        "n_activations": outputs,
        "batch_size": values.batch_size,
    }


def _elements(shape: str) -> float:
    return float(math.prod(int(size) for size in shape.split("x")))


def _samples(compute: pd.DataFrame) -> Iterator[_Found]:
    together = compute[compute["sample"] != ""]
    if together.empty:
        return
    keys = [together.device, together["sample"]]
    # Vectorised first: most tables have no odd sample, and the words below take a loop.
    odd = together.time_s.notna().groupby(keys).transform("sum") != 1
    for column in ("phase", "batch_size"):
        values = together[column].fillna(1.0) if column == "batch_size" else together[column]
        odd |= values.groupby(keys).transform("nunique") > 1
    together = together[odd]
    for (_, name), rows in together.groupby(["device", "sample"], sort=False):
        times = rows.time_s.dropna()
        if times.empty:
            yield rows.index[0], "time_s", f"no row of sample {name!r} has a time; put it into the first"
        elif len(times) > 1:
            why = f"sample {name!r} has a time in {len(times)} rows; rows of a sample were timed together"
            yield times.index[1], "time_s", f"{why}: keep it in the first"
        for column in ("phase", "batch_size"):
            values = rows[column].fillna(1.0) if column == "batch_size" else rows[column]
            if values.nunique() > 1:
                row = values.index[values != values.iloc[0]][0]
                why = f"is {values[row]!r} in sample {name!r}, which began with {values.iloc[0]!r}"
                yield row, column, f"{why}; give them different sample names"


def _rates(frame: pd.DataFrame) -> Iterator[_Found]:
    compute = frame[frame.direction == ""]
    for column, unit, limit in (
        ("work_flop", "FLOP/s", MAX_FLOP_RATE),
        ("moved_bytes", "B/s", MAX_BYTE_RATE),
    ):
        amount = compute[column] * compute["count"]
        alone = compute["sample"] == ""
        total = amount.where(alone, amount.groupby([compute.device, compute["sample"]]).transform("sum"))
        rate = total / compute.time_s.where(compute.time_s > 0)
        for row in rate.index[rate > limit]:
            yield row, "time_s", _too_fast(rate[row], unit, limit)
    for row in compute.index[compute.kind.isin(_FREE) & (compute.work_flop > 0)]:
        kind = compute.kind[row]
        yield row, "work_flop", f"is given for {kind!r}, which is {PSEUDO_KINDS[kind]}; empty it"


def _too_fast(rate: float, unit: str, limit: float) -> str:
    return f"means {rate:.3g} {unit}, above {limit:.3g}, which no device reaches; check the units"
