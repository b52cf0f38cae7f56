"""Random stays in two states that take turns: up and down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["Stays", "in_turns"]

_SHORTEST_S = 1e-3


@component
class Stays:
    """How long each of two states lasts, drawn anew each time: an alternating renewal process."""

    mean_up: Annotated[float, Quantity("s", positive=True, least=_SHORTEST_S)]
    """Mean length of a stay, a millisecond or more."""
    mean_down: Annotated[float, Quantity("s", positive=True, least=_SHORTEST_S)]
    """Mean length of an absence, a millisecond or more."""
    distribution: Literal["exponential", "weibull", "lognormal"] = "exponential"
    """Of both lengths: `exponential` has no memory; `weibull` and `lognormal` have the shape given below."""
    shape: Annotated[float, Field(gt=0.1, le=10)] = 1.0
    """`weibull`: its exponent k (below 1: many short stays and a few long ones); `lognormal`: the deviation of the
    logarithm; `exponential` has none."""
    start: Literal["stationary", "up", "down"] = "stationary"
    """State at 0 s. `stationary`: as if it had gone on for ever; otherwise a stay begins then."""


def in_turns(stays: Stays, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
    """(time [s], whether up from then on), for ever. A stay is a millisecond at least, so that time goes on."""
    means = {True: stays.mean_up, False: stays.mean_down}
    if stays.start == "stationary":
        up = bool(random.random() * (stays.mean_up + stays.mean_down) < stays.mean_up)
        # The stay at 0 s is likelier a long one, and 0 s lies anywhere in it: renewal theory's residual life.
        first = float(random.random()) * _length(stays, means[up], random, biased=True)
    else:
        up = stays.start == "up"
        first = _length(stays, means[up], random)
    time_s = 0.0
    yield time_s, up
    time_s += max(first, _SHORTEST_S)
    while True:
        up = not up
        yield time_s, up
        time_s += max(_length(stays, means[up], random), _SHORTEST_S)


def _length(stays: Stays, mean_s: float, random: np.random.Generator, biased: bool = False) -> float:
    """Length of a stay [s]; `biased`: of the one that a moment falls into, with density x f(x) / mean."""
    k = stays.shape
    if stays.distribution == "exponential":
        return float(mean_s * random.gamma(2.0 if biased else 1.0))
    if stays.distribution == "weibull":
        # x^k / scale^k is a gamma variable: of shape 1, and of 1 + 1/k if weighted by x.
        scale_s = mean_s / math.gamma(1 + 1 / k)
        return float(scale_s * random.gamma(1 + 1 / k if biased else 1.0) ** (1 / k))
    # Weighting by x moves the mean of the logarithm by its variance.
    return float(mean_s * math.exp(k * random.standard_normal() + (0.5 if biased else -0.5) * k * k))
