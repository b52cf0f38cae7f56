"""Time of a layer from measured points, interpolated in batch size and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from gapslsim.hardware import kriging
from gapslsim.hardware.cost_model import cost_models
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import GroupedModel, Trend
from gapslsim.hardware.terms import COST_COLUMNS, Array
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["Interpolation", "Lookup", "LookupGroup"]

_LEAST_S = 1e-12


@component
class Interpolation:
    """How a group interpolates: kriging of the logarithm of measured over linear time; see `hardware/kriging.py`."""

    coordinates: tuple[kriging.Coordinate, ...] = Field(min_length=1)
    """Sizes between which distance is measured (their logarithms)."""
    length_scales: tuple[float, ...]
    """Distance over which times stay alike, per coordinate, then per jump [natural logarithm of the size]."""
    amplitude: float = Field(gt=0)
    """Standard deviation of the logarithm of measured over linear time that sizes explain."""
    noise: float = Field(gt=0)
    """Standard deviation of the logarithm that they do not explain, the same at all times."""
    noise_s: float = Field(ge=0)
    """Standard deviation of the noise that is the same in seconds (a clock's steps) [s]."""


@component
class LookupGroup(Trend):
    """The measured points for one phase and one kind of layer, with the linear part that leads beyond them."""

    interpolations: tuple[Interpolation, ...] = ()
    """Their mean is taken; without one, the linear part alone."""
    points: tuple[tuple[float, float, float, float, float, float], ...] = ()
    """Measured points: work_flop, moved_bytes, n_parameters, n_activations, batch_size, time_s."""

    @model_validator(mode="after")
    def _lengths_match(self) -> LookupGroup:
        for how in self.interpolations:
            wanted = len(how.coordinates) + len(self.jumps)
            if len(how.length_scales) != wanted:
                raise ValueError(
                    f"length_scales needs one entry per coordinate and jump ({wanted}), "
                    f"found {len(how.length_scales)}"
                )
        if self.interpolations and len(self.points) < 2:
            raise ValueError(f"points needs 2 or more for an interpolation, found {len(self.points)}")
        return self

    def seconds(self, columns: Mapping[str, Array]) -> Array:
        """Seconds of each layer: the linear part times the interpolated ratio."""
        trend = np.maximum(super().seconds(columns), _LEAST_S)
        if not self.interpolations:
            return trend
        logs = [
            made.predict(kriging.places(how.coordinates, self.jumps, columns, trend))
            for how, made in zip(self.interpolations, self._made, strict=True)
        ]
        # A mean of logarithms: a factor too large and one too small weigh the same.
        seconds: Array = trend * np.exp(np.mean(logs, axis=0))
        return seconds

    @cached_property
    def _made(self) -> list[kriging.Kriging]:
        """The interpolations, solved for their points; once per group, since solving is cubic in their number."""
        table = np.array(self.points, dtype=np.float64)
        columns = {name: table[:, i] for i, name in enumerate(COST_COLUMNS)}
        trend = np.maximum(super().seconds(columns), _LEAST_S)
        return [
            kriging.Kriging(
                kriging.places(how.coordinates, self.jumps, columns, trend),
                np.log(table[:, -1] / trend),
                np.array(how.length_scales),
                how.amplitude,
                # A clock's steps are constant in seconds, so in logarithms they weigh most for short times.
                np.sqrt(how.noise**2 + (how.noise_s / trend) ** 2),
            )
            for how in self.interpolations
        ]


@cost_models.register
@component
class Lookup(GroupedModel):
    """Measured points with interpolation.

    t = trend * exp(k), with `trend` the linear part and k interpolated between the measured points by kriging
    (Gaussian-process regression, Rasmussen and Williams 2006, algorithm 2.1) over logarithms of sizes and batch size.
    Outside the points: each size is moved to the nearest measured one before k is read, so that the linear part
    leads on and its correction stays what it was at the edge.
    """

    kind: Literal["lookup"] = "lookup"
    groups: tuple[LookupGroup, ...] = Field(min_length=1)
    """One for each phase and kind of layer, and one for the rest."""
    overhead_per_call: Figure[Seconds]
    """What starting a pass through a sequence of layers costs [s]."""
