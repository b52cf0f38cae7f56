"""Time of a layer bounded by arithmetic or by memory, whichever is slower."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gapslsim.hardware.cost_model import CostModel, cost_models
from gapslsim.hardware.figure import Figure, PositiveByteRate, PositiveFlopRate, PositiveNumber
from gapslsim.registry import component
from gapslsim.units import Seconds
from gapslsim.work import LayerCost, Phase

__all__ = ["Roofline"]


@cost_models.register
@component
class Roofline(CostModel):
    """Roofline of Williams, Waterman and Patterson (CACM 52(4), 2009), layer by layer, plus overheads.

    A layer of W FLOP that moves B bytes takes

        t = t_layer + max(W / (e_kind * R_phase), B / M)    [s]

    with R_phase the rate of its phase [FLOP/s], e_kind the efficiency of its kind (1 unless given), M the
    memory rate [B/s]; each call adds t_call. The source bounds the attainable rate by min(R, M * W / B), which
    says the same of time. Departures: the ceilings are rates that were achieved, not peaks; the overheads are
    added; a layer without FLOP and bytes (a view of its input) takes no time, not even t_layer.
    """

    kind: Literal["roofline"] = "roofline"
    forward_rate: Figure[PositiveFlopRate]
    """Rate of forward passes [FLOP/s]."""
    backward_rate: Figure[PositiveFlopRate]
    """Rate of backward passes [FLOP/s]."""
    memory_rate: Figure[PositiveByteRate]
    """Rate of reading plus writing memory [B/s]: a copy of n bytes moves 2 n."""
    overhead_per_layer: Figure[Seconds]
    """What starting a layer costs [s], for instance a kernel launch."""
    overhead_per_call: Figure[Seconds]
    """What starting a pass through a sequence of layers costs [s]."""
    update_rate: Figure[PositiveFlopRate] | None = None
    """Rate of optimizer steps [FLOP/s]; the forward rate unless given."""
    other_rate: Figure[PositiveFlopRate] | None = None
    """Rate of anything else (Gram matrix, averaging) [FLOP/s]; the forward rate unless given."""
    efficiency: dict[str, Figure[PositiveNumber]] = Field(default_factory=dict)
    """Factor on the rate by kind of layer, for instance `conv2d`; 1 for kinds that are not named."""

    def rate(self, phase: Phase) -> float:
        """Rate of a phase [FLOP/s], before the efficiency of a kind."""
        given = {
            "forward": self.forward_rate,
            "backward": self.backward_rate,
            "update": self.update_rate,
            "other": self.other_rate,
        }[phase]
        return (given or self.forward_rate).value

    def layer_s(self, layer: LayerCost) -> float:
        """Seconds of one layer; see the class for the formula."""
        if layer.work_flop == 0 and layer.moved_bytes == 0:
            return 0.0
        efficiency = self.efficiency[layer.kind].value if layer.kind in self.efficiency else 1.0
        arithmetic_s = layer.work_flop / (efficiency * self.rate(layer.phase))
        memory_s = layer.moved_bytes / self.memory_rate.value
        return self.overhead_per_layer.value + max(arithmetic_s, memory_s)

    @property
    def call_s(self) -> float:
        """Seconds added per call."""
        return self.overhead_per_call.value
