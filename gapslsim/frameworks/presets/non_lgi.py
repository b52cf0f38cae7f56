"""Ablation of GAPSL: the leader is the mean of all clients."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._aligned import AlignedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["NonLgi"]


@frameworks.register
@component
class NonLgi(AlignedSplitLearning):
    """Non-LGI, Section IV of [lin2026gapsl]: GDA towards the mean gradient of all clients."""

    kind: Literal["non_lgi"] = "non_lgi"
    leader: Literal["mean"] = "mean"
    """The mean of all clients."""
