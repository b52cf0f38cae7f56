"""Time of a layer as a sum of terms: constant, FLOP, bytes, parameters, activations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gapslsim.hardware.cost_model import cost_models
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import GroupedModel, Trend
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["Linear"]


@cost_models.register
@component
class Linear(GroupedModel):
    """Linear model: t = sum over terms of coefficient times amount [s], all coefficients 0 or more.

    The terms are those of `gapslsim.hardware.terms`; a jump adds cost above a threshold. The model extrapolates
    as what it is, a line; its errors are in the profile's `calibration`.
    """

    kind: Literal["linear"] = "linear"
    groups: tuple[Trend, ...] = Field(min_length=1)
    """One for each phase and kind of layer, and one for the rest."""
    overhead_per_call: Figure[Seconds]
    """What starting a pass through a sequence of layers costs [s]."""
