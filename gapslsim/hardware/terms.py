"""What the time of a layer may grow with: terms of linear cost models, computed from the cost of a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.work import LayerCost

__all__ = ["COST_COLUMNS", "Array", "TermName", "columns_of", "term"]

Array = NDArray[np.float64]
TermName = Literal[
    "constant", "flop", "byte", "parameter", "activation", "other_byte", "sample_flop", "sample_byte", "reuse",
]  # fmt: skip
"""A term of a linear model; its coefficient is in seconds per unit of it.

constant    1: what each execution costs
flop        work_flop
byte        moved_bytes
parameter   n_parameters
activation  n_activations
other_byte  moved_bytes less 4 B per parameter and activation: the layer's input, in a forward pass
sample_flop work_flop per sample: a recurrent layer reads its weights again at each step of its sequence
sample_byte other_byte per sample: for an embedding, the length of the sequence
reuse       work_flop per sample and parameter: for a recurrent layer, steps of its sequence (twice)
"""
COST_COLUMNS = ("work_flop", "moved_bytes", "n_parameters", "n_activations", "batch_size")
"""Fields of a layer's cost that terms are made of."""

_TERMS: dict[str, Callable[[Mapping[str, Array]], Array]] = {
    "constant": lambda c: np.ones_like(c["work_flop"]),
    "flop": lambda c: c["work_flop"],
    "byte": lambda c: c["moved_bytes"],
    "parameter": lambda c: c["n_parameters"],
    "activation": lambda c: c["n_activations"],
    # Some layers move fewer bytes than their parameters and outputs hold, and no term may be negative.
    "other_byte": lambda c: np.maximum(
        c["moved_bytes"] - 4.0 * (c["n_parameters"] + c["n_activations"]), 0.0
    ),
    "sample_flop": lambda c: c["work_flop"] / c["batch_size"],
    "sample_byte": lambda c: _TERMS["other_byte"](c) / c["batch_size"],
    # Layers without parameters read no weights; a division by 0 would spoil the whole sum.
    "reuse": lambda c: np.divide(
        c["work_flop"],
        c["batch_size"] * c["n_parameters"],
        out=np.zeros_like(c["work_flop"]),
        where=c["n_parameters"] > 0,
    ),
}


def term(name: str, columns: Mapping[str, Array]) -> Array:
    """A term for many layers at once.

    Args:
        name: a `TermName`.
        columns: arrays of equal length, one for each of `COST_COLUMNS`.
    """
    return _TERMS[name](columns)


def columns_of(layer: LayerCost, scale: float = 1.0) -> dict[str, Array]:
    """The cost of one layer as columns of length one; `scale` multiplies FLOP and bytes."""
    scales = {"work_flop": scale, "moved_bytes": scale}
    return {name: np.array([getattr(layer, name) * scales.get(name, 1.0)]) for name in COST_COLUMNS}
