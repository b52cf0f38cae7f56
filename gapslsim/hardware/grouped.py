"""Cost models fitted group by group: which group answers for a layer, and what a group holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from gapslsim.bounds import LARGEST
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.terms import Array, TermName, columns_of, term
from gapslsim.registry import component
from gapslsim.units import Seconds
from gapslsim.work import LayerCost

__all__ = ["GroupedModel", "Jump", "Trend", "pick_group"]

FittedPhase = Literal["", "forward", "backward", "update", "other", "training"]
"""Phase of a group; `training` is forward, backward and update timed as one, empty is any phase."""
NonNegative = Annotated[float, Field(ge=0, le=LARGEST["float"])]
"""A coefficient: seconds per unit of its term."""

_TRAINING = {"forward": (3.0, 1 / 3), "backward": (1.5, 2 / 3)}
"""From a layer's cost in a phase to that of a whole step (three forward passes), and that phase's share of its time."""


@component
class Jump:
    """What a layer costs beside the linear part once a quantity is above a threshold (a cache, a buffer)."""

    quantity: TermName
    """What is compared with the threshold."""
    above: float = Field(gt=0)
    """The threshold; the powers of two were tried."""
    constant: Figure[NonNegative] | None = None
    """Seconds more per execution."""
    per_parameter: Figure[NonNegative] | None = None
    """Seconds more per parameter."""
    per_activation: Figure[NonNegative] | None = None
    """Seconds more per activation."""

    def passed(self, columns: Mapping[str, Array]) -> Array:
        """1 where the threshold is passed, else 0."""
        return (term(self.quantity, columns) > self.above).astype(np.float64)


@component
class Trend:
    """The linear part for one phase and one kind of layer: a sum of terms with coefficients that are 0 or more."""

    terms: dict[TermName, Figure[NonNegative]]
    """Coefficient of each term [seconds per unit]; a term that is not named has coefficient 0."""
    jumps: tuple[Jump, ...] = ()
    phase: FittedPhase = ""
    """Phase it was measured in; empty for any."""
    layer_kind: str = ""
    """Kind of layer; empty for any kind that has no group of its own."""

    def seconds(self, columns: Mapping[str, Array]) -> Array:
        """Seconds of each layer."""
        total: Array = np.zeros_like(columns["work_flop"])
        for name, figure in self.terms.items():
            total = total + figure.value * term(name, columns)
        for jump in self.jumps:
            passed = jump.passed(columns)
            extra = np.zeros_like(total)
            for part, amount in ((jump.constant, "constant"), (jump.per_parameter, "parameter"),
                                 (jump.per_activation, "activation")):  # fmt: skip
                if part is not None:
                    extra = extra + part.value * term(amount, columns)
            total = total + passed * extra
        return total


class GroupedModel(CostModel):
    """A cost model that holds a group for each phase and kind of layer that was measured."""

    groups: Sequence[Any]
    overhead_per_call: Figure[Seconds]

    @property
    def call_s(self) -> float:
        """Seconds added per call."""
        return self.overhead_per_call.value

    def layer_s(self, layer: LayerCost) -> float:
        """Seconds of one layer, from the group that fits it best (`pick_group`).

        A group of whole training steps gives a forward pass one third of the step's time and a backward pass two
        thirds; the optimizer step is in them, so a phase `update` without a group of its own takes nothing.
        """
        # A constant term would charge for views, which execute nothing.
        if layer.work_flop == 0 and layer.moved_bytes == 0:
            return 0.0
        group = pick_group(self.groups, layer.phase, layer.kind)
        if group is None:
            return 0.0
        scale, share = 1.0, 1.0
        if group.phase == "training":
            # The group was fitted to costs of whole steps, so the layer's cost is first made that of a step.
            scale, share = _TRAINING["backward" if layer.phase == "backward" else "forward"]
        return share * float(group.seconds(columns_of(layer, scale))[0])


def pick_group(groups: Sequence[Any], phase: str, kind: str) -> Any:
    """The group for a phase and a kind of layer; None for an update that whole training steps include.

    Order: the same phase and kind; whole training steps of that kind (not for an update); the same phase, any
    kind; whole training steps, any kind (not for an update); any phase; for `other`, as for `forward`; the first.
    A kind `conv2d/3x3` is looked for as such, then as `conv2d`.
    """
    held = {(group.phase, group.layer_kind): group for group in groups}
    kinds = [kind, kind.partition("/")[0], ""]
    phases = [phase] if phase == "update" else [phase, "training"]
    for place in (*((wanted, one) for one in kinds for wanted in phases), *(("", one) for one in kinds)):
        if place in held:
            return held[place]
    # Charging it again would count the optimizer twice.
    if phase == "update" and any(group.phase == "training" for group in groups):
        return None
    if phase in ("other", "update") and any(group.phase == "forward" for group in groups):
        return pick_group(groups, "forward", kind)
    # Something rather than nothing; the warning of the fitted range says how far off it is.
    return groups[0]
