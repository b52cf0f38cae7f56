"""What the two sides of a split network cost, forward and backward, from shapes on the meta device.

Nothing is computed and no clock is read: the network is built on torch's meta device and run once there, so
that each layer shows its shapes. The formulas and their conventions are in `layer_types`. Modules are looked into;
a module without layers of its own that has no formula, and a function between layers, is counted operation by
operation (`op_counts`), so that nothing is free by being unknown. What a shipped model costs is remembered between
runs, so that torch is not imported for it again.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Any

from gapslsim.cache import remembered
from gapslsim.models.model import Model
from gapslsim.models.side_cost import ChainCost, SideCost, SplitCost
from gapslsim.registry import content_of, is_shipped
from gapslsim.work import Cost, LayerCost

__all__ = ["ChainCost", "SideCost", "SplitCost", "chain_cost", "split_cost"]


def split_cost(
    model: Model,
    input_shape: tuple[int, ...],
    n_classes: int,
    batch_size: int,
    input_dtype: str | None = None,
) -> SplitCost:
    """Cost of both sides of a model for one batch; the same object for the same settings.

    Args:
        model: whose sides these are.
        input_shape: of one input.
        n_classes: logits per sample.
        batch_size: samples of the batch.
        input_dtype: `float32`, or `int64` for tokens; None: what the model says that it takes.

    Raises:
        ValueError: if the cut is out of range or no single tensor passes there, the input or the batch does not fit, or
            the model cannot be run on shapes alone.
        TypeError: if the model's settings cannot be hashed.
    """
    _check(model, batch_size)
    return _split_cost(model, tuple(input_shape), n_classes, batch_size, input_dtype or model.input_dtype)


def chain_cost(
    model: Model,
    input_shape: tuple[int, ...],
    n_classes: int,
    batch_size: int,
    bounds: tuple[int, ...],
    input_dtype: str | None = None,
) -> ChainCost:
    """Cost of a model cut in several places, for one batch; the same object for the same settings.

    Args:
        model: whose stretches these are; its own cut is of no account.
        input_shape: of one input.
        n_classes: logits per sample.
        batch_size: samples of the batch.
        bounds: blocks before which it is cut, ascending, without 0 and the number of blocks.
        input_dtype: `float32`, or `int64` for tokens; None: what the model says that it takes.

    Raises:
        ValueError: as for `split_cost`.
        TypeError: likewise.
    """
    _check(model, batch_size)
    about = (tuple(input_shape), n_classes, batch_size, input_dtype or model.input_dtype)
    return _chain_cost(model, *about, tuple(bounds))


@lru_cache(maxsize=256)
def server_backward(
    model: Model,
    input_shape: tuple[int, ...],
    n_classes: int,
    batch_size: int,
    smashed_shape: tuple[int, ...],
    of_weights: bool,
) -> Cost:
    """A part of the server's backward pass, which as a whole gives both.

    Args:
        model: whose.
        input_shape: of one input.
        n_classes: logits per sample.
        batch_size: samples of the pass.
        smashed_shape: of one sample at the cut.
        of_weights: the gradients of its weights alone; else the gradient at the cut alone.
    """
    from gapslsim.models._costing import traced_backward

    return traced_backward(model, input_shape, n_classes, batch_size, smashed_shape, of_weights)


def _check(model: Model, batch_size: int) -> None:
    try:
        # Asked here: the caches below would raise an error that does not say whose settings it means.
        hash(model)
    except TypeError as error:
        raise TypeError(
            f"settings of {type(model).__name__} must be hashable; use tuples, not lists."
        ) from error
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, found {batch_size}.")


@lru_cache(maxsize=256)
def _split_cost(
    model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int, input_dtype: str
) -> SplitCost:
    about = (input_shape, n_classes, batch_size, input_dtype)

    def traced() -> SplitCost:
        from gapslsim.models._costing import traced_cost

        return traced_cost(model, *about)

    if not is_shipped(model):  # may change as its author likes
        return traced()
    told = remembered(["split_cost", content_of(model), *about], lambda: asdict(traced()))
    return SplitCost(_side(told["client"]), _side(told["server"]), tuple(told["smashed_shape"]))


@lru_cache(maxsize=256)
def _chain_cost(
    model: Model,
    input_shape: tuple[int, ...],
    n_classes: int,
    batch_size: int,
    input_dtype: str,
    bounds: tuple[int, ...],
) -> ChainCost:
    about = (input_shape, n_classes, batch_size, input_dtype, bounds)

    def traced() -> ChainCost:
        from gapslsim.models._costing import traced_chain

        costs, shapes = traced_chain(model, *about, [f"the cut after block {bound}" for bound in bounds])
        return ChainCost(tuple(costs), tuple(shapes))

    if not is_shipped(model):
        return traced()
    told = remembered(["chain_cost", content_of(model), *about], lambda: asdict(traced()))
    return ChainCost(tuple(map(_side, told["stretches"])), tuple(map(tuple, told["shapes"])))


def _side(told: dict[str, Any]) -> SideCost:
    """From plain values."""
    return SideCost(**told | {way: _cost(told[way]) for way in ("forward", "backward")})


def _cost(told: dict[str, Any]) -> Cost:
    layers = tuple(LayerCost(**layer) for layer in told["layers"])
    return Cost(layers, told["repeats"], tuple(map(_cost, told["parts"])))
