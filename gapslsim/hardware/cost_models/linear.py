"""Time of a layer as a sum of terms: constant, FLOP, bytes, parameters, activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gapslsim.hardware.cost_model import cost_models
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import FittedPhase, GroupedModel, Trend
from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["Linear", "LinearGroup"]


@component
class LinearGroup(Trend):
    """The terms for one phase and one kind of layer."""

    phase: FittedPhase = ""
    """Phase it was measured in; empty for any."""
    layer_kind: str = ""
    """Kind of layer; empty for any kind that has no group of its own."""


@cost_models.register
@component
class Linear(GroupedModel):
    """Linear model: t = sum over terms of coefficient times amount [s], all coefficients 0 or more.

    The terms are those of `gapslsim.hardware.terms`; a jump adds cost above a threshold. The model extrapolates
    as what it is, a line; its errors are in the profile's `calibration`.
    """

    kind: Literal["linear"] = "linear"
    groups: tuple[LinearGroup, ...] = Field(min_length=1)
    """One for each phase and kind of layer, and one for the rest."""
    overhead_per_call: Figure[Seconds]
    """What starting a pass through a sequence of layers costs [s]."""

    @property
    def all_groups(self) -> Sequence[LinearGroup]:
        """One for each phase and kind of layer, and one for the rest."""
        return self.groups
