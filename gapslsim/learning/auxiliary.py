"""The network behind a client's part with which it takes a loss of its own, and needs no gradient from the server."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gapslsim.bounds import Width
from gapslsim.learning.optimizer import Optimizer, optimizers
from gapslsim.models.model import Model
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Auxiliary"]


@component
class Auxiliary(Model):
    """From smashed data [B, *smashed_shape] to outputs [B, n_classes]: flattened, then fully connected layers.

    Blocks: `smashed` (channels by a 1 x 1 convolution, pooling, flattening), `hidden1` ..., `head`. Weights: He et al.
    2015. The auxiliary networks of the sources are of this kind: one linear layer, a perceptron, or a 1 x 1 convolution
    before it.
    """

    channels: Width | None = None
    """Of a 1 x 1 convolution with ReLU in front, which makes the network smaller; none unless given. For images."""
    pool: Annotated[int, Field(ge=1, le=64)] | None = None
    """Averages each channel of an image down to so many pixels a side; whole unless given."""
    hidden: Annotated[tuple[Width, ...], Field(max_length=16)] = ()
    """Widths of hidden layers, each with ReLU; none makes it one linear layer."""
    averaged: bool = True
    """Whether it is averaged, sent and received whenever the client-side models are."""
    optimizer: Annotated[Optimizer, optimizers] | None = None
    """How it takes a step; as the client's part does unless given."""
    cut: Literal[1] = 1
    """Of no account."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order; see the base class."""
        from torch import nn

        from gapslsim.models import layers

        first: list[tuple[str, nn.Module | None]] = []
        blocks: list[tuple[str, nn.Module]] = []
        shape = tuple(input_shape)
        if (self.channels or self.pool) and len(shape) != 3:
            raise ValueError(
                f"auxiliary: channels and pool are for images, and smashed data are of shape {shape} here; leave them "
                "out, or cut the model earlier."
            )
        if self.channels is not None:
            conv = nn.Conv2d(shape[0], self.channels, 1)
            first += [("conv", conv), ("relu", layers.activation("relu"))]
            shape = (self.channels, *shape[1:])
        if self.pool is not None:
            if self.pool > min(shape[1:]):
                raise ValueError(
                    f"auxiliary.pool must not be above the side of smashed data, {min(shape[1:])} pixels here; found "
                    f"{self.pool}."
                )
            first.append(("pool", nn.AdaptiveAvgPool2d(self.pool)))
            shape = (shape[0], self.pool, self.pool)
        blocks.append(("smashed", layers.named(*first, ("flatten", nn.Flatten()))))
        width = prod(shape)
        for place, wide in enumerate(self.hidden, 1):
            block = layers.named(("linear", nn.Linear(width, wide)), ("relu", layers.activation("relu")))
            blocks.append((f"hidden{place}", block))
            width = wide
        blocks.append(("head", layers.named(("linear", nn.Linear(width, n_classes)))))
        return layers.he_init(blocks)

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """See the base class; nobody cuts it."""
        return 1
