"""Fits factors to cells: least squares on the logarithms of medians, with a prior.

The prior keeps what the cells do not tell near to what the profiles say, and lets go of it as far as they say that they
are unsure (`uncertainty` of a profile).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from scipy.optimize import least_squares

from gapslsim.testbed.factors import Factor, Fitted
from gapslsim.testbed.measures import Measure
from gapslsim.testbed.simulation import Setting, short, times_of

__all__ = ["fit_factors"]

_MEASURED_WITHIN: Final = 0.02
"""To what share medians are trusted [logarithm]."""
_MOST_PER_GROUP: Final = 6
_ROUNDS: Final = 3
_FAR: Final = 20.0


def fit_factors(
    factors: Sequence[Factor], settings: Sequence[Setting], measures: Sequence[Measure], by: str
) -> Fitted:
    """Values of factors with which the medians of these cells come out as measured, as far as they can.

    Args:
        factors: what to fit.
        settings: cells to fit to.
        measures: what the table holds.
        by: column whose values name networks; empty if all links share one factor.
    """
    chosen = [_without_chance(setting) for setting in _thinned(settings)]
    usual, prior = (np.array(values) for values in zip(*(factor.prior() for factor in factors), strict=True))
    touched = [[n for n, factor in enumerate(factors) if factor.touches(setting, by)] for setting in chosen]
    known: dict[tuple[Any, ...], Mapping[str, float]] = {}

    def made(x: np.ndarray) -> Fitted:
        # From 1 on, since the steps of the differences are relative.
        values = usual * np.exp((x - 1) * prior)
        return Fitted(tuple(factors), tuple(map(float, values)), tuple(prior), tuple(prior), by)

    def medians(number: int, fitted: Fitted) -> Mapping[str, float]:
        key = (number, *(fitted.values[n] for n in touched[number]))
        if key not in known:
            told = times_of([chosen[number]], measures, fitted.run)[0]
            known[key] = {name: float(np.median(values)) for name, values in told.times.items()}
        return known[key]

    def misses(x: np.ndarray) -> np.ndarray:
        fitted = made(x)
        off = [
            math.log(medians(number, fitted)[name] / float(np.median(values))) / _MEASURED_WITHIN
            for number, setting in enumerate(chosen)
            for name, values in setting.cell.measured.items()
        ]
        return np.concatenate([off, x - 1])

    # What loading ahead hides has no gradient, so that it is also begun where it is not hidden.
    starts = [np.ones(len(factors))]
    loads = np.array([factor.kind == "loading" for factor in factors])
    if loads.any():
        starts.append(1 + np.where(loads, math.log(_FAR) / prior, 0.0))
    fits = [least_squares(misses, x, diff_step=1e-3, xtol=1e-3, ftol=1e-4, max_nfev=20) for x in starts]
    found = min(fits, key=lambda fit: fit.cost)
    spread = prior * np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
    return dataclasses.replace(made(found.x), spreads=tuple(map(float, spread)))


def _without_chance(setting: Setting) -> Setting:
    """A cell without jitter, for a few rounds: each step of the fit simulates it again."""
    scenario = short(setting.scenario, _ROUNDS)
    clock = dataclasses.replace(scenario.clock, jitter=False)
    return dataclasses.replace(setting, scenario=dataclasses.replace(scenario, clock=clock))


def _thinned(settings: Sequence[Setting]) -> list[Setting]:
    """Some of the cells that differ in quantities alone, since each costs a dry run in every step of the fit."""
    groups: dict[tuple[Any, ...], list[Setting]] = {}
    for setting in settings:
        key = tuple((path, text) for path, text in setting.cell.settings if " " not in text)
        groups.setdefault((key, setting.cell.labels), []).append(setting)
    return [
        setting
        for members in groups.values()
        for setting in members[:: max(1, math.ceil(len(members) / _MOST_PER_GROUP))]
    ]
