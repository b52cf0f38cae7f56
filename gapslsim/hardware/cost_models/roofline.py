"""Time of a layer bounded by arithmetic or by memory, whichever is slower."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.bounds import LARGEST
from gapslsim.hardware.cost_model import CostModel, cost_models
from gapslsim.hardware.figure import Figure
from gapslsim.registry import component
from gapslsim.units import Quantity, Seconds
from gapslsim.work import LayerCost, Phase

__all__ = ["Roofline"]

FlopRate = Annotated[float, Quantity("FLOP/s", positive=True)]
"""Computation rate above zero [FLOP/s]."""
ByteRate = Annotated[float, Quantity("B/s", positive=True)]
"""Memory rate above zero [B/s]."""
Factors = dict[str, Figure[Annotated[float, Field(gt=0, le=LARGEST["float"])]]]
"""Dimensionless factors above zero."""


@cost_models.register
@component
class Roofline(CostModel):
    """Roofline of Williams, Waterman and Patterson (CACM 52(4), 2009), layer by layer, plus overheads.

    A layer of W FLOP that moves B bytes takes

        t = t_layer + max(W / (e * R_phase), B / (m * M), 4 n p / V_phase)    [s]

    with R_phase the rate of its phase [FLOP/s], e the efficiency of its phase and kind and m that of its memory
    accesses (both 1 unless given), M the memory rate [B/s]; each call adds t_call. The third term is for convolutions
    with p parameters and n samples, on devices that go through the weights sample by sample at V [B/s]; without V
    there is none. The source bounds the attainable rate by min(R, M * W / B), which says the same of time. Departures:
    that term; the ceilings are rates that were achieved, not peaks; the overheads are added; a layer without FLOP and
    bytes (a view of its input) takes no time, not even t_layer.
    """

    kind: Literal["roofline"] = "roofline"
    forward_rate: Figure[FlopRate]
    """Rate of forward passes [FLOP/s]."""
    backward_rate: Figure[FlopRate]
    """Rate of backward passes [FLOP/s]."""
    memory_rate: Figure[ByteRate]
    """Rate of reading plus writing memory [B/s]: a copy of n bytes moves 2 n."""
    overhead_per_layer: Figure[Seconds]
    """What starting a layer costs [s], for instance a kernel launch."""
    overhead_per_call: Figure[Seconds]
    """What starting a pass through a sequence of layers costs [s]."""
    update_rate: Figure[FlopRate] | None = None
    """Rate of optimizer steps [FLOP/s]; the forward rate unless given."""
    other_rate: Figure[FlopRate] | None = None
    """Rate of anything else (Gram matrix, averaging) [FLOP/s]; the forward rate unless given."""
    forward_weight_rate: Figure[ByteRate] | None = None
    """Rate at which a convolution goes through its weights, once per sample, in forward passes [B/s]; no bound unless
    given. PyTorch multiplies sample by sample on CPUs, so small images with many channels are bound by it."""
    backward_weight_rate: Figure[ByteRate] | None = None
    """The same in backward passes."""
    efficiency: Factors = Field(default_factory=dict)
    """Factor on the rate by kind of layer (`conv2d`) or by phase and kind (`backward conv2d`, which goes first); 1 for
    kinds that are not named."""
    memory_efficiency: Factors = Field(default_factory=dict)
    """Factor on the memory rate, named in the same way."""

    def rate(self, phase: Phase) -> float:
        """Rate of a phase [FLOP/s], before the efficiency of a kind."""
        rate: Figure[float] = getattr(self, f"{phase}_rate") or self.forward_rate
        return rate.value

    def layer_s(self, layer: LayerCost) -> float:
        """Seconds of one layer; see the class for the formula."""
        if layer.work_flop == 0 and layer.moved_bytes == 0:
            return 0.0
        efficiency = _factor(self.efficiency, layer)
        arithmetic_s = layer.work_flop / (efficiency * self.rate(layer.phase))
        memory_s = layer.moved_bytes / (_factor(self.memory_efficiency, layer) * self.memory_rate.value)
        return self.overhead_per_layer.value + max(arithmetic_s, memory_s, self._weights_s(layer))

    def _weights_s(self, layer: LayerCost) -> float:
        """Seconds in which a convolution goes through its weights for every sample."""
        if not layer.kind.startswith("conv2d"):
            return 0.0
        rate: Figure[float] | None = getattr(self, f"{layer.phase}_weight_rate", None)
        return 0.0 if rate is None else 4.0 * layer.batch_size * layer.n_parameters / rate.value

    @property
    def call_s(self) -> float:
        """Seconds added per call."""
        return self.overhead_per_call.value


def _factor(factors: dict[str, Figure[float]], layer: LayerCost) -> float:
    """The factor for a layer: of its phase and kind, else of its kind, else 1; `conv2d/3x3` as `conv2d` if need be."""
    if factors:
        for kind in (layer.kind, layer.kind.partition("/")[0]):
            for name in (f"{layer.phase} {kind}", kind):
                if name in factors:
                    return factors[name].value
    return 1.0
