"""Invariants of cost models: the time of a layer is one."""

from __future__ import annotations

from functools import partial
from itertools import product

from gapslsim.checks._tools import check_pure, is_amount
from gapslsim.checks.check import require
from gapslsim.hardware.cost_model import CostModel
from gapslsim.work import LayerCost, Phase

_PHASES: tuple[Phase, ...] = ("forward", "backward", "update", "other")
_KINDS = ("linear", "conv2d", "norm", "no-such-kind")
_AMOUNTS = ((0.0, 0.0), (1e3, 1e2), (1e9, 1e8))


def layers_take_time(model: CostModel) -> None:
    """A layer takes a finite time of 0 s or more, one without FLOP and bytes none, and a call 0 s or more.

    Times are finite and 0 s or more; a view takes 0 s.
    """
    require(is_amount(model.call_s), f"call_s is {model.call_s!r}")
    for phase, kind, (flop, moved) in product(_PHASES, _KINDS, _AMOUNTS):
        layer = LayerCost("layer", kind, phase, flop, moved, 100, 100)
        time_s, what = model.layer_s(layer), f"layer_s of {phase} {kind} with {flop:g} FLOP, {moved:g} bytes"
        require(is_amount(time_s) and (flop or time_s == 0), f"{what} is {time_s!r}")
        check_pure(what, partial(model.layer_s, layer), {})
