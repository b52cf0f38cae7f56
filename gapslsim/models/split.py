"""The two sides of a split network, with initial weights that depend on the seed alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import nn

from gapslsim.models.adapters import adapted
from gapslsim.models.model import Model
from gapslsim.rng import stream_seed

__all__ = [
    "SplitModel",
    "block_names",
    "blocks_on_meta",
    "build",
    "cut_at",
    "cut_blocks",
    "initial_blocks",
    "whole",
]


@dataclass(frozen=True, eq=False)
class SplitModel:
    """A network cut in two; `server(client(x))` is the whole network."""

    client: nn.Sequential
    """Blocks before the cut: inputs [B, *input_shape] to smashed data."""
    server: nn.Sequential
    """Blocks after the cut: smashed data to logits [B, n_classes]."""


def build(model: Model, input_shape: tuple[int, ...], n_classes: int, seed: int) -> SplitModel:
    """Both sides of a model with their initial weights.

    All blocks are drawn in order from the stream "weights" before the network is cut, so that the weights are
    the same whatever the cut. Global random state is left as it was.

    Raises:
        ValueError: if the cut is out of range or the input does not fit.
    """
    return cut_blocks(model, initial_blocks(model, input_shape, n_classes, seed), input_shape, n_classes)


def whole(model: Model, input_shape: tuple[int, ...], n_classes: int, seed: int) -> nn.Sequential:
    """The network that is not cut, with the same weights as `build`."""
    return nn.Sequential(OrderedDict(initial_blocks(model, input_shape, n_classes, seed)))


def cut_blocks(
    model: Model, blocks: list[tuple[str, nn.Module]], input_shape: tuple[int, ...], n_classes: int
) -> SplitModel:
    """Blocks that are built already, cut where the model says.

    Raises:
        ValueError: if a parameter would lie on both sides.
    """
    client, server = cut_at(blocks, (0, model.cut_index(input_shape, n_classes), len(blocks)))
    return SplitModel(client, server)


def cut_at(blocks: list[tuple[str, nn.Module]], bounds: Sequence[int]) -> list[nn.Sequential]:
    """Blocks in order, cut in stretches from bound to bound.

    Raises:
        ValueError: if a parameter would lie in two of them.
    """
    stretches = [blocks[first:last] for first, last in pairwise(bounds)]
    owned = [{id(p) for _, block in part for p in block.parameters()} for part in stretches]
    if len(set().union(*owned)) < sum(map(len, owned)):
        # Each owner would train its own copy.
        raise ValueError("cut parts blocks that share a parameter; cut elsewhere, or give each its own.")
    return [nn.Sequential(OrderedDict(part)) for part in stretches]


def initial_blocks(
    model: Model, input_shape: tuple[int, ...], n_classes: int, seed: int
) -> list[tuple[str, nn.Module]]:
    """Named blocks with the weights that they begin with, before any cut."""
    # PyTorch's layers draw from the global generator as they are made; nobody else may notice. On the CPU,
    # since every device draws other numbers.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(stream_seed(seed, "weights"))
        return _made(model, input_shape, n_classes)


def blocks_on_meta(model: Model, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
    """The blocks without values, for their shapes."""
    try:
        with torch.device("meta"):
            return _made(model, input_shape, n_classes)
    # A model that computes with numbers as it is built cannot be built without them.
    except (NotImplementedError, RuntimeError):
        return [(name, block.to("meta")) for name, block in initial_blocks(model, input_shape, n_classes, 0)]


def _made(model: Model, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
    """The model's blocks, with adapters and frozen parameters as its settings say, and nothing that works in place."""
    blocks = adapted(model.blocks(tuple(input_shape), n_classes), model.freeze, model.lora)
    for _, block in blocks:
        for layer in block.modules():
            # What another pass or the other side may still read must not be written to; values are the same.
            if getattr(layer, "inplace", False):
                setattr(layer, "inplace", False)  # noqa: B010
    return blocks


@lru_cache(maxsize=64)
def block_names(model: Model, input_shape: tuple[int, ...], n_classes: int) -> tuple[str, ...]:
    """Names of a model's blocks in order."""
    return tuple(name for name, _ in blocks_on_meta(model, input_shape, n_classes))
