"""A cost model whose phases take a factor more or less: what a testbed, or a draw, says of a device as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from gapslsim.bounds import LARGEST
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.figure import Figure
from gapslsim.registry import component
from gapslsim.work import LayerCost, Phase

__all__ = ["Corrected", "Corrections"]

Factor = Annotated[float, Field(gt=0, le=LARGEST["float"])]


@component
class Corrections:
    """Factors on durations by phase, as measurements of whole rounds gave them; 1 where none is given."""

    forward: Figure[Factor] | None = None
    """On forward passes."""
    backward: Figure[Factor] | None = None
    """On backward passes."""
    update: Figure[Factor] | None = None
    """On optimizer steps."""
    other: Figure[Factor] | None = None
    """On anything else: Gram matrix, averaging."""
    per_call: Figure[Factor] | None = None
    """On what each pass costs beside its layers."""

    def on(self, model: CostModel) -> CostModel:
        """The model with these factors."""
        given = {name: getattr(self, name) for name in ("forward", "backward", "update", "other")}
        by_phase = {name: figure.value for name, figure in given.items() if figure is not None}
        return Corrected(model, by_phase, 1.0 if self.per_call is None else self.per_call.value)


@dataclass(frozen=True, eq=False)
class Corrected(CostModel):
    """Another cost model with a factor for each phase."""

    model: CostModel
    by_phase: dict[str, float] = field(default_factory=dict)
    """Factor on the seconds of layers; 1 for phases that are not named."""
    per_call: float = 1.0

    def factor(self, phase: Phase) -> float:
        """Of a phase."""
        return self.by_phase.get(phase, 1.0)

    def layer_s(self, layer: LayerCost) -> float:
        """Seconds of one layer."""
        return self.factor(layer.phase) * self.model.layer_s(layer)

    @property
    def call_s(self) -> float:
        """Seconds added per call."""
        return self.per_call * self.model.call_s
