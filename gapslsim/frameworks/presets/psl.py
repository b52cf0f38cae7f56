"""Parallel split learning without aggregation."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.registry import component

__all__ = ["Psl"]


@frameworks.register
@component
class Psl(ParallelSplitLearning):
    """PSL: the server takes the mean gradient, clients never synchronise (Section IV-A of [lin2026gapsl])."""

    kind: Literal["psl"] = "psl"
