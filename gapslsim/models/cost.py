"""What the two sides of a split network cost, forward and backward, from shapes on the meta device.

Nothing is computed and no clock is read: the network is built on torch's meta device and run once there, so
that each layer shows its shapes. The formulas and their conventions are in `layer_types`. Modules are looked into;
a module without layers of its own that has no formula, and a function between layers, is counted operation by
operation (`op_counts`), so that nothing is free by being unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from gapslsim.models._trace import SideCost, Trace, costed_layers
from gapslsim.models.model import Model
from gapslsim.models.split import blocks_on_meta, cut_blocks

__all__ = ["SideCost", "SplitCost", "costed_layers", "split_cost"]


@dataclass(frozen=True, eq=False)
class SplitCost:
    """Cost of a split network for one batch."""

    client: SideCost
    server: SideCost
    smashed_shape: tuple[int, ...]
    """Shape of one sample's cut-layer activations, without the batch."""


def split_cost(model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int) -> SplitCost:
    """Cost of both sides of a model for one batch; the same object for the same settings.

    Raises:
        ValueError: if the cut is out of range, the input or the batch does not fit, or the model cannot be
            run on shapes alone.
        TypeError: if the model's settings cannot be hashed.
    """
    try:
        # Asked here: the cache below would raise an error that does not say whose settings it means.
        hash(model)
    except TypeError as error:
        raise TypeError(
            f"settings of {type(model).__name__} must be hashable; use tuples, not lists."
        ) from error
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, found {batch_size}.")
    return _split_cost(model, tuple(input_shape), n_classes, batch_size)


@lru_cache(maxsize=256)
def _split_cost(model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int) -> SplitCost:
    blocks = blocks_on_meta(model, input_shape, n_classes)
    inputs = torch.empty(batch_size, *input_shape, dtype=torch.float32, device="meta")
    sides = cut_blocks(model, blocks, input_shape, n_classes)
    try:
        smashed, client = Trace(sides.client, inputs).run()
        # A leaf of its own, as at the cut: the server does give a gradient of its input.
        _, server = Trace(sides.server, smashed.detach().requires_grad_()).run(ends_in_loss=True)
    # What a model raises on shapes it does not fit; anything else is a fault of the program.
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"model {getattr(model, 'kind', type(model).__name__)} with inputs {input_shape} and batches of"
            f" {batch_size} cannot be run on shapes alone: {error}"
        ) from error
    return SplitCost(client, server, tuple(smashed.shape[1:]))
