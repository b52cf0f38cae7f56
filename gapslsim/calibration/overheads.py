"""What a device spends beside computing, from the rows `message`, `iteration`, `warm` and `cold` of a table."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from gapslsim.calibration._figures import figure_of
from gapslsim.calibration.table import MeasurementTable
from gapslsim.hardware.overheads import Cold, Overheads
from gapslsim.hardware.profile import Profile
from gapslsim.hardware.terms import Array

__all__ = ["overheads_of"]


def overheads_of(table: MeasurementTable, like: Profile | None) -> Overheads | None:
    """The figures that the table has rows for; without any, those of `like`, or none."""
    compute = table.compute
    found = {**_messages(compute), **_iterations(compute), **_cold(compute)}
    return Overheads(**found) if found else (like.overheads if like is not None else None)


def _messages(compute: pd.DataFrame) -> dict[str, Any]:
    """A line of time over bytes, each point weighing as its relative error."""
    rows = compute[(compute.kind == "message") & (compute.time_s > 0)]
    if rows.moved_bytes.nunique() < 2:
        return {}
    times, sizes = rows.time_s.to_numpy(np.float64), rows.moved_bytes.to_numpy(np.float64)
    (fixed_s, byte_s), _ = nnls(np.stack([1 / times, sizes / times], axis=1), np.ones(len(times)))
    source = f"least squares over {len(rows)} rows of kind 'message'"
    figures: dict[str, Any] = {"per_message": figure_of(float(fixed_s), 0.0, source)}
    return figures | ({"serialise_rate": figure_of(float(1 / byte_s), 0.0, source)} if byte_s > 0 else {})


def _iterations(compute: pd.DataFrame) -> dict[str, Any]:
    rows = compute[compute.kind == "iteration"]
    if rows.empty:
        return {}
    source = f"median of the {len(rows)} rows of kind 'iteration': a mini-batch less its passes and step"
    return {"per_iteration": figure_of(float(rows.time_s.median()), 0.0, source)}


def _cold(compute: pd.DataFrame) -> dict[str, Any]:
    """How much more a mini-batch takes after a wait: a share of it, up to some time of computing."""
    key = ["name", "batch_size"]
    warm = compute[compute.kind == "warm"].groupby(key).time_s.median()
    rows = compute[compute.kind == "cold"].set_index(key)
    rows = rows[rows.index.isin(warm.index)]
    if rows.empty:
        return {}
    usual_s: Array = warm.loc[rows.index].to_numpy(np.float64)
    more = rows.time_s.to_numpy(np.float64) / usual_s - 1
    lasts_s, slope = min(
        (
            (float(limit_s), *nnls((np.minimum(usual_s, limit_s) / usual_s)[:, None], more))
            for limit_s in set(usual_s)
        ),
        key=lambda fitted: fitted[2],
    )[:2]
    if slope[0] <= 0:
        return {}
    waits_s = [
        float(wait) for wait in rows.note.str.extract(r"after ([\d.e-]+) s", flags=re.ASCII)[0].dropna()
    ]
    source = f"least squares over {len(rows)} rows of kind 'cold' and those of kind 'warm'"
    cold = Cold(
        after=figure_of(min(waits_s, default=0.0), 0.0, f"the shortest wait that was measured; {source}"),
        factor=figure_of(1 + float(slope[0]), 0.0, source),
        lasts=figure_of(lasts_s, 0.0, source),
    )
    return {"cold": cold}
