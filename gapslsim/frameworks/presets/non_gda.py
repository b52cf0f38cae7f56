"""Ablation of GAPSL: the server follows the leader gradient alone."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._aligned import LedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["NonGda"]


@frameworks.register
@component
class NonGda(LedSplitLearning):
    """Non-GDA, Section IV of [lin2026gapsl]: the leader of LGI, no admission, no regulariser."""

    kind: Literal["non_gda"] = "non_gda"
