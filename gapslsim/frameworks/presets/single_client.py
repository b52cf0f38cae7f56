"""Motivation study of GAPSL: the server follows one client."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._aligned import LedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["SingleClient"]


@frameworks.register
@component
class SingleClient(LedSplitLearning):
    """Single-client gradient, figure 5 of [lin2026gapsl]: the server follows one client's gradient."""

    kind: Literal["single_client"] = "single_client"
    leader: Literal["single"] = "single"
    """One client, `leader_client`."""
