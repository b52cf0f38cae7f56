"""GAPSL: gradient-aligned parallel split learning."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._aligned import AlignedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["Gapsl"]


@frameworks.register
@component
class Gapsl(AlignedSplitLearning):
    """GAPSL: leader gradient identification and gradient direction alignment (Algorithms 1 and 2 of [lin2026gapsl])."""

    kind: Literal["gapsl"] = "gapsl"
