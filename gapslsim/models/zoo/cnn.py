"""Small convolutional network, from 1x8x8 digits to 3x32x32 images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.bounds import Width
from gapslsim.models.checks import check_classes, check_cut, image_shape
from gapslsim.models.model import Model, models
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Cnn"]


@models.register
@component
class Cnn(Model):
    """Convolution blocks of growing width, then fully connected layers.

    Blocks: `conv1`, `conv2`, ... (convolution of stride 1 that keeps the size, norm, ReLU, pooling), then
    `fc1`, ... (linear + ReLU, the last linear alone; the map is flattened, not averaged). A block pools only
    while both sides of its map are at least 4, so that the map never gets smaller than 2x2 by pooling: 8x8
    digits are pooled twice. Weights: He et al. 2015.
    """

    kind: Literal["cnn"] = "cnn"
    cut: PositiveInt = 1
    """Blocks on the client, counted from the input: convolution blocks, then fully connected ones; the last stays."""
    channels: Annotated[tuple[Width, ...], Field(min_length=1)] = (16, 32, 64)
    """Output channels of the convolution blocks."""
    kernel: Literal[1, 3, 5, 7] = 3
    """Side of the square kernels."""
    norm: Literal["none", "batch", "group"] = "group"
    """Normalisation after each convolution."""
    groups: PositiveInt = 8
    """Groups of a group norm: the greatest common divisor of this and the block's channels is used."""
    pool: Literal["max", "average", "none"] = "max"
    """Pooling that halves the map at the end of each convolution block."""
    classifier: tuple[Width, ...] = ()
    """Widths of hidden fully connected layers; empty: one fully connected layer in all."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order; see the base class."""
        from torch import nn

        from gapslsim.models import layers

        n_in, height, width = self._check(input_shape, n_classes)
        blocks: list[tuple[str, nn.Module]] = []
        for index, n_out in enumerate(self.channels):
            pooled = self.pool != "none" and min(height, width) >= 4
            block = layers.named(
                ("conv", nn.Conv2d(n_in, n_out, self.kernel, padding=self.kernel // 2)),
                ("norm", layers.norm(self.norm, n_out, self.groups)),
                ("relu", nn.ReLU()),
                ("pool", layers.pool(self.pool) if pooled else None),
            )
            blocks.append((f"conv{index + 1}", block))
            n_in = n_out
            if pooled:
                height, width = height // 2, width // 2
        blocks += layers.classifier(n_in * height * width, self.classifier, n_classes)
        return layers.he_init(blocks)

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client; see the base class."""
        self._check(input_shape, n_classes)
        n_conv, n_fc = len(self.channels), len(self.classifier) + 1
        return check_cut(
            "cnn", self.cut, n_conv + n_fc, f"{n_conv} convolution blocks, then {n_fc} fully connected"
        )

    def _check(self, input_shape: tuple[int, ...], n_classes: int) -> tuple[int, int, int]:
        check_classes("cnn", n_classes)
        return image_shape("cnn", input_shape)
