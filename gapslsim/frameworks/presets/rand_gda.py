"""Ablation of GAPSL: random clients are admitted."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._aligned import AlignedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["RandGda"]


@frameworks.register
@component
class RandGda(AlignedSplitLearning):
    """Rand-GDA, Section IV of [lin2026gapsl]: a random subset of the size that Eq. (6) would admit."""

    kind: Literal["rand_gda"] = "rand_gda"
    admission: Literal["random"] = "random"
    """A random subset of the adaptive size."""
