"""What a profile needs beside times of layers: overhead per call, jitter, power, memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gapslsim.calibration._figures import figure_of
from gapslsim.calibration._robust import robust_scale
from gapslsim.calibration.samples import Samples
from gapslsim.calibration.table import MeasurementTable
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import Jitter, Memory, PowerDraw, Profile
from gapslsim.hardware.terms import Array

__all__ = ["call_figure", "jitter_of", "memory_of", "power_of"]

_LEAST_DEVIATIONS = 10
_ASSUMED = "no such rows in the table, and no profile to take it from (--like); a placeholder, replace it"


def call_figure(table: MeasurementTable) -> Figure[float]:
    """Overhead per call: the median of the rows of kind `call`."""
    rows = table.compute[table.compute.kind == "call"]
    if rows.empty:
        none = "no rows of kind 'call' in the table; what a pass costs beside its layers is in the layers"
        return _assumed(0.0, none)
    times = rows.time_s.to_numpy(np.float64)
    source = f"median of the {len(times)} rows of kind 'call'"
    # Of a normal distribution, the median's standard error is sqrt(pi / 2) times the mean's.
    # A timer that counts ticks may say 0 most of the time; it is right on average.
    typical = np.median(times) if times.min() > 0 else times.mean()
    return figure_of(float(typical), 1.2533 * _error_of_mean(times), source)


def jitter_of(samples: Samples, like: Profile | None) -> Jitter:
    """Lognormal sigma from repeats: robust, pooled over samples."""
    deviations = samples.spread
    if len(deviations) < _LEAST_DEVIATIONS:
        none = "no repeated measurements in the table: durations are taken without jitter"
        return like.jitter if like is not None else Jitter(sigma=_assumed(0.0, none))
    # A profile takes sigmas below 1.
    sigma = min(robust_scale(deviations), 0.99)
    # Each repeated sample has spent one degree of freedom on its own mean. 1.17 / sqrt(n) is the relative
    # standard error of the scaled median deviation (efficiency 37 %).
    free = len(deviations) - samples.n_repeated
    source = f"repeats of {samples.n_repeated} computations: 1.4826 times the median deviation of log time"
    return Jitter(sigma=figure_of(sigma, 1.17 * sigma / max(free, 1) ** 0.5, source))


def power_of(table: MeasurementTable, like: Profile | None) -> PowerDraw:
    """Power of the states: compute and idle as measured, what is missing as in `like` or assumed."""
    compute = table.compute
    measured: dict[str, Any] = {
        "idle": _mean(compute[compute.kind == "idle"].power_w),
        "compute": _mean(compute[~compute.kind.isin(("idle", "call"))].power_w),
    }
    measured = {state: figure for state, figure in measured.items() if figure is not None}
    if like is not None:
        return replace(like.power, **measured)
    assumed: dict[str, Any] = {"idle": 1.0, "compute": 5.0, "send": 2.0, "receive": 2.0}
    return PowerDraw(**{state: _assumed(watts) for state, watts in assumed.items()} | measured)


def _mean(power: pd.Series) -> Figure[float] | None:
    values = power.dropna().to_numpy(np.float64)
    if not len(values):
        return None
    source = f"mean of power_w over {len(values)} rows of the table"
    return figure_of(float(values.mean()), _error_of_mean(values), source, "measured")


def _error_of_mean(values: Array) -> float:
    """Its standard error; 0 for a single value, which does not tell it."""
    return float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0


def _assumed(value: float, source: str = _ASSUMED) -> Figure[float]:
    return Figure(value=value, status="assumed", source=source)


def memory_of(like: Profile | None) -> Memory:
    """Memory is not in a table: as in `like`, or a placeholder."""
    return like.memory if like is not None else Memory(total=_assumed(4e9), usable=_assumed(3e9))
