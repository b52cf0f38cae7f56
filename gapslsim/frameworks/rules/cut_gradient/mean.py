"""Every client gets the mean of all cut gradients."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.slots import cut_gradients
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

__all__ = ["MeanCutGradient"]


@cut_gradients.register
@component
class MeanCutGradient(CutGradient):
    """The mean over clients of the cut gradients, sample by sample, broadcast. Not in [lin2026gapsl]."""

    kind: Literal["mean"] = "mean"

    @property
    def shared_fraction(self) -> float:
        """Nothing is averaged at the last layer."""
        return 0.0

    @property
    def average(self) -> bool:
        """Yes."""
        return True
