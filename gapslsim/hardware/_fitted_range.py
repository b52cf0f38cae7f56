"""Whether a computation lies where a profile was fitted, and how far outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gapslsim.hardware.profile import FittedRange
from gapslsim.work import LayerCost

__all__ = ["furthest_outside"]

_SLACK = 1.05
"""A twentieth outside is inside."""
_QUANTITIES = {
    "work_flop": "FLOP", "moved_bytes": "bytes", "n_parameters": "parameters", "n_activations": "activations",
    "batch_size": "samples per batch",
}  # fmt: skip
_TRAINING = {("forward", "work_flop"): 3.0, ("backward", "work_flop"): 1.5, ("backward", "moved_bytes"): 0.5}
"""From a pass to the whole step that it is a part of."""


def furthest_outside(ranges: Sequence[FittedRange], layers: Iterable[LayerCost]) -> tuple[float, str]:
    """How far outside the fitted ranges the layers lie.

    A layer is held against the ranges of its phase and kind; else of its kind in whole training steps; else, as a
    kind that was not measured, of any kind. Zero is never outside. An update is not held against whole
    training steps, which include it.

    Returns:
        The largest factor (1 if nothing is outside), and the layer and quantity in words.
    """
    worst, words = 1.0, ""
    for layer in layers:
        # Views take no time in any model, so that nothing can be extrapolated.
        if layer.work_flop == 0 and layer.moved_bytes == 0:
            continue
        for held in _ranges_of(ranges, layer):
            scale = _TRAINING.get((layer.phase, held.quantity), 1.0) if held.phase == "training" else 1.0
            value = scale * float(getattr(layer, held.quantity))
            factor = _factor(value, held)
            if factor > max(worst, _SLACK):
                worst = factor
                side, bound = ("above", held.high) if value > held.high else ("below", held.low)
                other = held.phase and not held.layer_kind
                unknown = f" (no {layer.kind} was measured, only other kinds)" if other else ""
                step = " in a whole training step" if scale != 1 else ""
                words = (
                    f"{layer.phase} {layer.kind} {layer.name!r} has {value:.3g} {_QUANTITIES[held.quantity]}{step}, "
                    f"{factor:.3g} times {side} the {bound:.3g} that were measured{unknown}"
                )
    return worst, words


def _ranges_of(ranges: Sequence[FittedRange], layer: LayerCost) -> list[FittedRange]:
    # From the narrowest range to the widest: measured as such, as its family, in other kinds.
    kinds = (layer.kind, layer.kind.partition("/")[0])
    phases = [layer.phase] if layer.phase == "update" else [layer.phase, "training"]
    for phase, kind in (*((phase, kind) for phase in phases for kind in kinds), *((phase, "") for phase in phases),
                        ("", "")):  # fmt: skip
        found = [held for held in ranges if held.phase == phase and held.layer_kind == kind]
        if found:
            return found
    return []


def _factor(value: float, held: FittedRange) -> float:
    if value <= 0:
        return 1.0
    # A range of zeros alone says nothing of sizes; a factor over it would be infinite.
    if value > held.high:
        return value / held.high if held.high > 0 else 1.0
    return held.low / value if value < held.low else 1.0
