"""Motivation study of GAPSL: a fixed angular threshold."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks._aligned import AlignedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["FixedThreshold"]


@frameworks.register
@component
class FixedThreshold(AlignedSplitLearning):
    """GAPSL that admits angles up to a fixed threshold, figure 13 of [lin2026gapsl]."""

    kind: Literal["fixed_threshold"] = "fixed_threshold"
    admission: Literal["fixed_threshold"] = "fixed_threshold"
    """Angles up to `threshold_rad`."""
    threshold_rad: Annotated[float, Field(ge=0, le=math.pi)] = 0.36
    """Largest angle to the leader [rad]; the figure has 0.18 to 0.54."""
