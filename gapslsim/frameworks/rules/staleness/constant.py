"""Stale or fresh, all counts the same."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.staleness import Staleness, stalenesses
from gapslsim.registry import component

__all__ = ["Constant"]


@stalenesses.register
@component
class Constant(Staleness):
    """A weight of 1, Section 5.2 of Xie et al., "Asynchronous Federated Optimization", arXiv 1903.03934."""

    kind: Literal["constant"] = "constant"

    def function(self, staleness: int) -> float:
        """One."""
        return 1.0
