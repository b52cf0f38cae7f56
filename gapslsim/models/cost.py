"""What the two sides of a split network cost, forward and backward, from shapes on the meta device.

Nothing is computed and no clock is read: the network is built on torch's meta device and run once there, so
that each layer shows its shapes. The formulas and their conventions are in `layer_types`. Modules are looked into;
a module without layers of its own that has no formula, and a function between layers, is counted operation by
operation (`op_counts`), so that nothing is free by being unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from gapslsim.models._trace import SideCost, Trace, costed_layers, in_words
from gapslsim.models.model import Model
from gapslsim.models.split import blocks_on_meta, cut_blocks

__all__ = ["SideCost", "SplitCost", "costed_layers", "split_cost", "try_backward"]


@dataclass(frozen=True, eq=False)
class SplitCost:
    """Cost of a split network for one batch."""

    client: SideCost
    server: SideCost
    smashed_shape: tuple[int, ...]
    """Shape of one sample's cut-layer activations, without the batch."""


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
    try:
        # Asked here: the cache below would raise an error that does not say whose settings it means.
        hash(model)
    except TypeError as error:
        raise TypeError(
            f"settings of {type(model).__name__} must be hashable; use tuples, not lists."
        ) from error
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, found {batch_size}.")
    return _split_cost(model, tuple(input_shape), n_classes, batch_size, input_dtype or model.input_dtype)


@lru_cache(maxsize=256)
def _split_cost(
    model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int, input_dtype: str
) -> SplitCost:
    blocks = blocks_on_meta(model, input_shape, n_classes)
    inputs = torch.empty(batch_size, *input_shape, dtype=getattr(torch, input_dtype), device="meta")
    sides = cut_blocks(model, blocks, input_shape, n_classes)
    try:
        smashed, client = Trace(sides.client, inputs).run()
        if not isinstance(smashed, Tensor):
            raise _no_tensor(model, blocks, inputs, n_classes, smashed)
        if not smashed.is_floating_point():
            name = blocks[model.cut_index(input_shape, n_classes) - 1][0]
            raise _CutError(
                f"cut {model.cut} lies after block {name!r}, which gives whole numbers ({smashed.dtype}), and these"
                " have no gradient; cut after the embedding."
            )
        # A leaf of its own, as at the cut: the server does give a gradient of its input.
        received = smashed.detach().requires_grad_()
        logits, server = Trace(sides.server, received).run(ends_in_loss=True)
    except _CutError:
        raise
    # A model of the user's own may raise anything on what does not fit.
    except Exception as error:
        raise ValueError(
            f"model {getattr(model, 'kind', type(model).__name__)} with inputs {input_shape} ({input_dtype}) and"
            f" batches of {batch_size} cannot be run: {_sentence(error)}{_way_out(error, blocks, input_dtype)}"
        ) from error
    if not isinstance(logits, Tensor) or logits.shape[:1] + logits.shape[-1:] != (batch_size, n_classes):
        found = tuple(logits.shape) if isinstance(logits, Tensor) else in_words(logits)
        raise ValueError(
            f"the last block {blocks[-1][0]!r} gives {found} for {batch_size} inputs and {n_classes} classes; let it"
            f" give logits of shape {(batch_size, n_classes)}."
        )
    return SplitCost(client, server, tuple(smashed.shape[1:]))


def try_backward(
    model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int, input_dtype: str = "float32"
) -> None:
    """Tries both passes of the whole model on shapes alone, where `split_cost` runs layer by layer.

    Raises:
        ValueError: if the backward pass fails, as where a layer writes to what another one still needs.
    """
    network = nn.Sequential(*(block for _, block in blocks_on_meta(model, input_shape, n_classes))).train()
    with torch.device("meta"):
        logits = network(torch.empty(batch_size, *input_shape, dtype=getattr(torch, input_dtype)))
        wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
        try:
            if wanted and logits.requires_grad:
                torch.autograd.grad(logits, wanted, torch.empty_like(logits), allow_unused=True)
        except RuntimeError as error:
            fix = "where a layer works in place (`x += y`, `F.relu(x, inplace=True)`), write `x = x + y`"
            raise ValueError(f"its backward pass fails: {str(error).partition(':')[0]}; {fix}.") from error


class _CutError(ValueError):
    """The cut lies where no single tensor passes."""


def _no_tensor(
    model: Model, blocks: list[tuple[str, nn.Module]], inputs: Tensor, n_classes: int, passed: Any
) -> _CutError:
    """What passes at the cut, and where one tensor does."""
    works, value = [], inputs
    with torch.device("meta"):
        for n_client, (_, block) in enumerate(blocks[:-1], 1):
            value = block(value)
            if isinstance(value, Tensor) and value.is_floating_point():
                works.append(n_client)
    shape, fits = tuple(inputs.shape[1:]), []
    # A model counts its cuts in its own way.
    for cut in range(1, len(blocks)):
        try:
            fits += (
                [str(cut)] if replace(cast(Any, model), cut=cut).cut_index(shape, n_classes) in works else []
            )
        except (TypeError, ValueError):
            continue
    last = blocks[model.cut_index(shape, n_classes) - 1][0]
    fix = f"cuts that work: {', '.join(fits)}" if fits else "let blocks end where one tensor passes"
    return _CutError(
        f"cut {model.cut} lies after block {last!r}, which gives {in_words(passed)}, and one tensor is sent; {fix}."
    )


def _sentence(error: Exception) -> str:
    """An error's first line; with its kind, where the words alone say little."""
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return text if isinstance(error, (RuntimeError, ValueError)) else f"{type(error).__name__}: {text}"


def _way_out(error: Exception, blocks: list[tuple[str, nn.Module]], input_dtype: str) -> str:
    """What to change, where the error does not say it."""
    text, layers = str(error), [layer for _, block in blocks for layer in block.modules()]
    if isinstance(error, NotImplementedError) or "meta tensor" in text or "Tensor.item()" in text:
        return ". Its shapes must not depend on values: leave out .item(), .tolist() and branches on tensors."
    if input_dtype == "float32" and any(isinstance(layer, nn.Embedding) for layer in layers[:8]):
        return (
            ". nn.Embedding takes tokens: give LoadedData input_dtype='int64', or take a data set of tokens."
        )
    if input_dtype == "int64":
        return ". The inputs are tokens: begin with nn.Embedding, or give LoadedData input_dtype='float32'."
    if "Kernel size can't be greater" in text or "too small" in text:
        return ". The images are too small for it: `resize` them where the model has that, or take another model."
    if "more than 1 value per channel" in text:
        return ". Batch norm needs 2 samples or more, or a larger image: take a larger batch, or a norm of groups."
    if isinstance(error, AttributeError) and "LowRank" in text:
        return ". A layer that lora.targets names is read, not called, by its module; leave it out of the targets."
    return "."
