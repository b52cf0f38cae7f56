"""What a cost model is: settings that turn the cost of a computation into seconds."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gapslsim.registry import Family
from gapslsim.work import Cost, LayerCost

__all__ = ["CostModel", "cost_models"]


class CostModel(ABC):
    """Predicts the duration of a computation from its cost. Deterministic: jitter is the device's.

    A `Cost` is a tree. A node that has layers of its own executes them as one call (say, one forward pass of
    one part of a model), pays `call_s` once for it, then executes its parts; all of that `repeats` times.
    """

    @abstractmethod
    def layer_s(self, layer: LayerCost) -> float:
        """Seconds of one execution of one layer, at least 0; a layer without FLOP and bytes takes 0."""

    @property
    @abstractmethod
    def call_s(self) -> float:
        """Seconds that each call costs beside its layers, at least 0."""

    def duration_s(self, cost: Cost) -> float:
        """Seconds of a whole computation, without jitter."""
        once = sum(self.duration_s(part) for part in cost.parts)
        if cost.layers:
            once += self.call_s + sum(self.layer_s(layer) for layer in cost.layers)
        return cost.repeats * once


cost_models: Family[CostModel] = Family("cost_model", "gapslsim.hardware.cost_models")
