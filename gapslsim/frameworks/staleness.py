"""What a late gradient or model still counts: the slot `staleness` of asynchronous frameworks."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import NonNegativeInt

from gapslsim.registry import Family, component

__all__ = ["Staleness", "stalenesses"]


@component
class Staleness(ABC):
    """The weight of what was made with a model that has been updated since; a pydantic component."""

    max_staleness: NonNegativeInt | None = None
    """What is staler is dropped: the server does not use it, and the client goes on with its next mini-batch."""

    def weight(self, staleness: int) -> float:
        """Of a gradient, or of a difference of weights, in [0, 1]; 0 if it is dropped.

        Args:
            staleness: s, updates of the server's model meanwhile.
        """
        if self.max_staleness is not None and staleness > self.max_staleness:
            return 0.0
        return self.function(staleness)

    @abstractmethod
    def function(self, staleness: int) -> float:
        """From the staleness to the weight; 1 for what is fresh."""


stalenesses: Family[Staleness] = Family("staleness", "gapslsim.frameworks.rules.staleness")
"""What a late gradient or model still counts; one rule per file."""
