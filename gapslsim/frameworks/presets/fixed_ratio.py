"""Motivation study of GAPSL: a leader set of a fixed share of the clients."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks._aligned import LedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["FixedRatio"]


@frameworks.register
@component
class FixedRatio(LedSplitLearning):
    """Fixed selection ratio, figure 8 of [lin2026gapsl]: the server follows the mean of the most consistent clients."""

    kind: Literal["fixed_ratio"] = "fixed_ratio"
    leader: Literal["fixed_ratio"] = "fixed_ratio"
    """The most consistent clients, the same share in every round."""
    leader_ratio: Annotated[float, Field(gt=0, le=1)] = 0.33
    """Share of the clients in the leader set; the figure has 0.33, 0.67 and 1."""
