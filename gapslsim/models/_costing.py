"""Costs of a split network from one run of its sides on torch's meta device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from gapslsim.models._trace import Trace, in_words
from gapslsim.models.model import Model
from gapslsim.models.side_cost import SideCost, SplitCost
from gapslsim.models.split import blocks_on_meta, cut_at
from gapslsim.work import Cost

__all__ = ["traced_backward", "traced_chain", "traced_cost", "try_backward"]


def traced_cost(
    model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int, input_dtype: str
) -> SplitCost:
    """See `split_cost`."""
    bounds = (model.cut_index(input_shape, n_classes),)
    (client, server), (smashed,) = traced_chain(
        model, input_shape, n_classes, batch_size, input_dtype, bounds, [f"cut {model.cut}"]
    )
    return SplitCost(client, server, smashed)


def traced_chain(
    model: Model,
    input_shape: tuple[int, ...],
    n_classes: int,
    batch_size: int,
    input_dtype: str,
    bounds: Sequence[int],
    names: Sequence[str],
) -> tuple[list[SideCost], list[tuple[int, ...]]]:
    """Costs of all stretches, and the shape of a sample between each two.

    Args:
        model: whose.
        input_shape: of one input.
        n_classes: logits per sample.
        batch_size: samples of the batch.
        input_dtype: of inputs.
        bounds: blocks before which the network is cut.
        names: what each is called in errors.

    Raises:
        ValueError: if no single tensor passes there, or the model cannot be run.
    """
    blocks = blocks_on_meta(model, input_shape, n_classes)
    passed: Any = torch.empty(batch_size, *input_shape, dtype=getattr(torch, input_dtype), device="meta")
    inputs = passed
    costs: list[SideCost] = []
    shapes: list[tuple[int, ...]] = []
    stretches = cut_at(blocks, (0, *bounds, len(blocks)))
    try:
        for stretch, bound, cut in zip(stretches, bounds, names, strict=False):
            passed, cost = Trace(stretch, passed).run()
            if not isinstance(passed, Tensor):
                raise _no_tensor(model, blocks, inputs, n_classes, passed, cut, bound)
            if not passed.is_floating_point():
                raise _CutError(
                    f"{cut} lies after block {blocks[bound - 1][0]!r}, which gives whole numbers ({passed.dtype}), and"
                    " these have no gradient; cut after the embedding."
                )
            costs.append(cost)
            shapes.append(tuple(passed.shape[1:]))
            # A leaf of its own, as at the cut: the next owner does give a gradient of its input.
            passed = passed.detach().requires_grad_()
        logits, last = Trace(stretches[-1], passed).run(ends_in_loss=True)
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
    return [*costs, last], shapes


def traced_backward(
    model: Model,
    input_shape: tuple[int, ...],
    n_classes: int,
    batch_size: int,
    smashed_shape: tuple[int, ...],
    of_weights: bool,
) -> Cost:
    """See `server_backward`."""
    blocks = blocks_on_meta(model, input_shape, n_classes)
    server = cut_at(blocks, (0, model.cut_index(input_shape, n_classes), len(blocks)))[1]
    arrived = torch.empty(batch_size, *smashed_shape, device="meta").requires_grad_(not of_weights)
    if not of_weights:
        server.requires_grad_(False)
    return Trace(server, arrived).run(ends_in_loss=True)[1].backward


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
    model: Model,
    blocks: list[tuple[str, nn.Module]],
    inputs: Tensor,
    n_classes: int,
    passed: Any,
    name: str,
    bound: int,
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
    fix = f"cuts that work: {', '.join(fits)}" if fits else "let blocks end where one tensor passes"
    return _CutError(
        f"{name} lies after block {blocks[bound - 1][0]!r}, which gives {in_words(passed)}, and one tensor is sent;"
        f" {fix}."
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
