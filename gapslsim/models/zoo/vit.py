"""Vision transformer; ViT-Base by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator

from gapslsim.bounds import Depth, Side, Width
from gapslsim.models.checks import check_classes, check_cut, image_shape
from gapslsim.models.model import Model, models
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Vit"]


@models.register
@component
class Vit(Model):
    """Vision transformer of Dosovitskiy et al., arXiv 2010.11929, Eqs. 1 to 4.

    The model of [lin2026gapsl] for CIFAR-100. Blocks: `embed` (optional resize, patches, class token, learned
    positions), `encoder1`, `encoder2`, ..., `head` (layer norm, class token, linear). The defaults are
    ViT-Base/16: 86,567,656 parameters with 224x224 images and 1000 classes. Weights are drawn, never
    downloaded: normal of std 0.02 (Touvron et al. 2021), class token and biases 0.
    """

    kind: Literal["vit"] = "vit"
    cut: PositiveInt = 3
    """Encoder blocks on the client (with the embedding), from 1 to all of them; the paper's is 3."""
    patch: PositiveInt = 16
    """Side of a square patch in pixels; it must divide the image (4 is usual for 32x32 images)."""
    dim: Width = 768
    """Width of a token."""
    depth: Depth = 12
    """Number of encoder blocks."""
    heads: Annotated[PositiveInt, Field(validate_default=True)] = 12
    """Attention heads; must divide `dim`."""
    mlp_dim: Width | None = None
    """Width of the hidden layer of each block's MLP; null: 4 x dim, as in the source."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of hidden MLP units dropped in training."""
    resize: Side | None = None
    """Side in pixels to which images are resized (bilinear) inside the first block, 224 in the source; null: as they
    come."""

    @field_validator("heads")
    @classmethod
    def _heads_divide_dim(cls, heads: int, info: Any) -> int:
        dim = info.data.get("dim", heads)
        if dim % heads:
            raise ValueError(f"heads must divide dim, found heads {heads} and dim {dim}; change one of them")
        return heads

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order; see the base class."""
        from torch import nn

        from gapslsim.models import layers

        channels, height, width = self._check(input_shape, n_classes)
        n_patches = (height // self.patch) * (width // self.patch)
        embed = layers.named(
            ("resize", layers.Resize(self.resize) if self.resize else None),
            ("patches", nn.Conv2d(channels, self.dim, self.patch, stride=self.patch)),
            ("tokens", layers.Tokens(n_patches, self.dim)),
        )
        blocks: list[tuple[str, nn.Module]] = [("embed", embed)]
        for index in range(self.depth):
            block = layers.EncoderBlock(self.dim, self.heads, self.mlp_dim or 4 * self.dim, self.dropout)
            blocks.append((f"encoder{index + 1}", block))
        head = layers.named(
            ("norm", nn.LayerNorm(self.dim, eps=1e-6)),
            ("class_token", layers.ClassToken()),
            ("linear", nn.Linear(self.dim, n_classes)),
        )
        return layers.vit_init([*blocks, ("head", head)])

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client, the embedding among them; see the base class."""
        self._check(input_shape, n_classes)
        return 1 + check_cut("vit", self.cut, self.depth + 1, f"{self.depth} encoder blocks")

    def _check(self, input_shape: tuple[int, ...], n_classes: int) -> tuple[int, int, int]:
        """Shape of the image that is cut into patches."""
        check_classes("vit", n_classes)
        channels, height, width = image_shape("vit", input_shape)
        if self.resize:
            height = width = self.resize
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"patch must divide the image of model vit, found patch {self.patch} and an image of"
                f" {height}x{width}; change `patch`, or set `resize` to a multiple of it."
            )
        return channels, height, width
