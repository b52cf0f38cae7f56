"""Costs of a split network from one run of its sides on torch's meta device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from gapslsim.models._trace import Trace, in_words
from gapslsim.models.model import Model
from gapslsim.models.side_cost import SplitCost
from gapslsim.models.split import blocks_on_meta, cut_blocks

__all__ = ["traced_cost", "try_backward"]


def traced_cost(
    model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int, input_dtype: str
) -> SplitCost:
    """See `split_cost`."""
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
