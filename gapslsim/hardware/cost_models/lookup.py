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

__all__ = ["Interpolation", "Lookup", "LookupGroup", "Split"]

_LEAST_S = 1e-12
_FADE = float(np.log(2.0))
"""Distance outside the points over which they count for 1 / e [natural logarithm of a size]: a factor of 2."""


@component
class Interpolation:
    """How a group interpolates: kriging of the logarithm of measured over linear time; see `hardware/kriging.py`."""

    coordinates: tuple[kriging.Coordinate, ...] = Field(min_length=1)
    """Sizes between which distance is measured (their logarithms)."""
    length_scales: tuple[float, ...]
    """Distance over which times stay alike, per coordinate, jump and split [natural logarithm of the size]."""
    amplitude: float = Field(gt=0)
    """Standard deviation of the logarithm of measured over linear time that sizes explain."""
    noise: float = Field(gt=0)
    """Standard deviation of the logarithm that they do not explain, the same at all times."""
    noise_s: float = Field(ge=0)
    """Standard deviation of the noise that is the same in seconds (a clock's steps) [s]."""


@component
class Split:
    """Where times change at once (a cache, a buffer, a kernel that a library picks by size): found from the points."""

    quantity: kriging.Coordinate
    """Size that is compared with the threshold."""
    above: float = Field(gt=0)
    """The threshold."""

    def passed(self, columns: Mapping[str, Array]) -> Array:
        """1 where the threshold is passed, else 0."""
        return (kriging.size(self.quantity, columns, np.ones(1)) > self.above).astype(np.float64)


@component
class LookupGroup(Trend):
    """The measured points for one phase and one kind of layer, with the linear part that leads beyond them."""

    interpolations: tuple[Interpolation, ...] = ()
    """Their mean is taken; without one, the linear part alone."""
    splits: tuple[Split, ...] = ()
    """Further coordinates of the interpolations, 1 above a threshold and 0 below."""
    beyond: Trend | None = None
    """Line that takes over outside the points, by half at a factor of 1.6; the linear part and its correction at the
    edge go on unless given."""
    points: tuple[tuple[float, float, float, float, float, float], ...] = ()
    """Measured points: work_flop, moved_bytes, n_parameters, n_activations, batch_size, time_s."""

    @model_validator(mode="after")
    def _lengths_match(self) -> LookupGroup:
        for how in self.interpolations:
            wanted = len(how.coordinates) + len(self.jumps) + len(self.splits)
            if len(how.length_scales) != wanted:
                raise ValueError(
                    f"length_scales needs one entry per coordinate, jump and split ({wanted}), "
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
        at = [self._places(how, columns, trend) for how in self.interpolations]
        # A mean of logarithms: a factor too large and one too small weigh the same.
        logs = np.mean([made.predict(where) for made, where in zip(self._made, at, strict=True)], axis=0)
        seconds: Array = trend * np.exp(logs)
        if self.beyond is not None:
            far = np.max([made.outside(where) for made, where in zip(self._made, at, strict=True)], axis=0)
            line = np.maximum(self.beyond.seconds(columns), _LEAST_S)
            seconds = line * (seconds / line) ** np.exp(-far / _FADE)
        return seconds

    def _places(self, how: Interpolation, columns: Mapping[str, Array], trend: Array) -> Array:
        return kriging.places(how.coordinates, (*self.jumps, *self.splits), columns, trend)

    @cached_property
    def _made(self) -> list[kriging.Kriging]:
        """The interpolations, solved for their points; once per group, since solving is cubic in their number."""
        table = np.array(self.points, dtype=np.float64)
        columns = {name: table[:, i] for i, name in enumerate(COST_COLUMNS)}
        trend = np.maximum(super().seconds(columns), _LEAST_S)
        return [
            kriging.Kriging(
                self._places(how, columns, trend),
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
    leads on. Its correction stays what it was at the edge, or another line takes over (`beyond`).
    """

    kind: Literal["lookup"] = "lookup"
    groups: tuple[LookupGroup, ...] = Field(min_length=1)
    """One for each phase and kind of layer, and one for the rest."""
    overhead_per_call: Figure[Seconds]
    """What starting a pass through a sequence of layers costs [s]."""
