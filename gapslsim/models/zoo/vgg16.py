"""VGG-16: 13 convolutions and 3 fully connected layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gapslsim.bounds import Side, Width
from gapslsim.models.checks import check_classes, check_cut, image_shape
from gapslsim.models.model import Model, models
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Vgg16"]

_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of the 3x3 convolutions; each stage ends with a 2x2 max-pool (configuration D of the source)."""
_N_CONV = sum(len(stage) for stage in _STAGES)
_SHRINK = 2 ** len(_STAGES)


@models.register
@component
class Vgg16(Model):
    """VGG-16: configuration D of Simonyan and Zisserman, arXiv 1409.1556, Table 1.

    The model of [lin2026gapsl] for CIFAR-10. Blocks: `conv1` ... `conv13`, then `fc1`, `fc2`, ... (16 blocks
    with the default classifier). A convolution, its norm and its ReLU are one block; a max-pool that follows
    belongs to the block that `pool_with` says. With `classifier: [4096, 4096]` and 224x224 inputs it is the
    ImageNet network (138,357,544 parameters with 1000 classes). Departures: the default classifier has 512
    hidden units, as is usual for CIFAR; dropout is off. Weights: He et al. 2015 for all layers but the last.
    """

    kind: Literal["vgg16"] = "vgg16"
    cut: PositiveInt = 4
    """Layers with weights on the client: convolutions 1 to 13 (the paper's is 4), then fully connected ones."""
    width: PositiveFloat = 1.0
    """Multiplies the channels of every convolution (rounded, at least 1); not the classifier's widths."""
    norm: Literal["none", "batch", "group"] = "none"
    """Normalisation after each convolution; the paper does not say."""
    groups: PositiveInt = 8
    """Groups of a group norm: the greatest common divisor of this and the layer's channels is used."""
    pool_with: Literal["previous", "next"] = "previous"
    """Side of a max-pool at the cut (after convolution 2, 4, 7, 10 or 13): with the layer before it, so that the
    client pools and sends a quarter of the bytes, or with the layer after it. The paper does not say."""
    classifier: tuple[Width, ...] = (512, 512)
    """Widths of the hidden fully connected layers; [4096, 4096] is the ImageNet network's."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of hidden fully connected units dropped in training; 0.5 in the source."""
    resize: Side | None = None
    """Side in pixels to which inputs are resized (bilinear) inside the first block; null: as they come."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order; see the base class."""
        from torch import nn

        from gapslsim.models import layers

        n_in, height, width = self._check(input_shape, n_classes)
        blocks: list[tuple[str, nn.Module]] = []
        waiting: nn.Module | None = layers.Resize(self.resize) if self.resize else None
        for stage in _STAGES:
            for place, full in enumerate(stage):
                n_out = max(1, round(full * self.width))
                pool = nn.MaxPool2d(2) if place == len(stage) - 1 else None
                block = layers.named(
                    ("before", waiting),
                    ("conv", nn.Conv2d(n_in, n_out, 3, padding=1)),
                    ("norm", layers.norm(self.norm, n_out, self.groups)),
                    ("relu", nn.ReLU()),
                    ("pool", pool if self.pool_with == "previous" else None),
                )
                # Goes in front of the next block, which may be the server's first, or the classifier.
                waiting = pool if self.pool_with == "next" else None
                blocks.append((f"conv{len(blocks) + 1}", block))
                n_in = n_out
        # Each pooling rounds down, and five times halving rounded down is the same as once dividing by 32.
        n_features = n_in * (height // _SHRINK) * (width // _SHRINK)
        blocks += layers.classifier(n_features, self.classifier, n_classes, self.dropout, before=waiting)
        return layers.he_init(blocks)

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client; see the base class."""
        self._check(input_shape, n_classes)
        n_fc = len(self.classifier) + 1
        counted = f"{_N_CONV} convolutions, then {n_fc} fully connected layers"
        return check_cut("vgg16", self.cut, _N_CONV + n_fc, counted)

    def _check(self, input_shape: tuple[int, ...], n_classes: int) -> tuple[int, int, int]:
        """Shape of the image that the first convolution gets."""
        check_classes("vgg16", n_classes)
        channels, height, width = image_shape("vgg16", input_shape)
        if self.resize:
            height = width = self.resize
        if min(height, width) < _SHRINK:
            found = f"resize: {self.resize}" if self.resize else f"{height}x{width}"
            raise ValueError(
                f"model vgg16 halves its input {len(_STAGES)} times and needs at least {_SHRINK}x{_SHRINK} pixels,"
                f" found {found}; set `resize: {_SHRINK}`, or use model kind 'cnn'."
            )
        return channels, height, width
