"""Ablation of GAPSL: a random leader set."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._aligned import AlignedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["RandLgi"]


@frameworks.register
@component
class RandLgi(AlignedSplitLearning):
    """Rand-LGI, Section IV of [lin2026gapsl]: a random leader set of the size that LGI would take."""

    kind: Literal["rand_lgi"] = "rand_lgi"
    leader: Literal["random"] = "random"
    """A random subset of the size of Eq. (2)."""
