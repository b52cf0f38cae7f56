"""Layers that the models of the zoo are made of. None works in place, so gradients can be taken functionally."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from math import gcd
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "Add", "ClassToken", "EncoderBlock", "LastToken", "LowRank", "Positions", "Resize", "SelfAttention", "Tokens",
    "activation", "classifier", "he_init", "named", "norm", "pool", "vit_init",
]  # fmt: skip

_Activation = Literal["relu", "gelu", "tanh"]
_Norm = Literal["none", "batch", "group"]
_Pool = Literal["max", "average", "none"]


def named(*layers: tuple[str, nn.Module | None]) -> nn.Sequential:
    """Layers in a row, by name; those that are None are left out."""
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers if layer is not None))


def activation(kind: _Activation) -> nn.Module:
    """An activation that does not work in place."""
    kinds: dict[_Activation, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
    return kinds[kind]()


def norm(kind: _Norm, channels: int, groups: int) -> nn.Module | None:
    """Normalisation over a map with `channels`; group norm has gcd(channels, groups) groups, so that they divide."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(gcd(channels, groups), channels) if kind == "group" else None


def pool(kind: _Pool) -> nn.Module | None:
    """A pooling that halves height and width (rounded down)."""
    if kind == "none":
        return None
    return nn.MaxPool2d(2) if kind == "max" else nn.AvgPool2d(2)


def classifier(
    n_inputs: int,
    hidden: tuple[int, ...],
    n_classes: int,
    dropout: float = 0.0,
    before: nn.Module | None = None,
) -> list[tuple[str, nn.Module]]:
    """Fully connected blocks `fc1`, `fc2`, ...: each linear + ReLU (+ dropout), the last linear alone.

    Args:
        n_inputs: elements of the flattened input.
        before: a layer of the first block, ahead of the flattening.
    """
    blocks: list[tuple[str, nn.Module]] = []
    for index, width in enumerate((*hidden, n_classes)):
        head = [("before", before), ("flatten", nn.Flatten())] if index == 0 else []
        drop = nn.Dropout(dropout) if dropout else None
        # The last block gives the logits.
        tail = [("relu", nn.ReLU()), ("dropout", drop)] if index < len(hidden) else []
        blocks.append((f"fc{index + 1}", named(*head, ("linear", nn.Linear(n_inputs, width)), *tail)))
        n_inputs = width
    return blocks


def he_init(blocks: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Draws weights anew after He et al. 2015 (normal, fan-in, gain of ReLU), biases 0; the last layer keeps PyTorch's.

    Without it a VGG-16 that has no normalisation does not start to train (PyTorch's default shrinks the
    signal).
    """
    # The last one is followed by no ReLU, for which the gain is made.
    return _drawn(blocks, slice(-1), partial(nn.init.kaiming_normal_, nonlinearity="relu"))


def vit_init(blocks: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Draws linear and patch weights from a normal of std 0.02 cut at two std, biases 0 (Touvron et al. 2021, DeiT)."""
    return _drawn(blocks, slice(None), partial(nn.init.trunc_normal_, std=0.02, a=-0.04, b=0.04))


def _drawn(
    blocks: list[tuple[str, nn.Module]], which: slice, draw: Callable[[Tensor], Tensor]
) -> list[tuple[str, nn.Module]]:
    """Draws the weights of convolutions and linear layers, `which` of them in order; biases 0."""
    layers = [layer for _, block in blocks for layer in block.modules()]
    # None of the meta device, where drawing would load PyTorch's compiler.
    weighted = [
        m for m in layers if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding)) and not m.weight.is_meta
    ]
    for layer in weighted[which]:
        draw(layer.weight)
        if not isinstance(layer, nn.Embedding) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return blocks


class Resize(nn.Module):
    """Bilinear resize of images to `size` x `size`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c {self.size} {self.size}"]:
        """Resizes; corners are not aligned, no anti-aliasing."""
        return F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)


class Add(nn.Module):
    """Sum of two tensors of one shape: the end of a residual branch."""

    def forward(self, x: Float[Tensor, "*given"], branch: Float[Tensor, "*given"]) -> Float[Tensor, "*given"]:
        """Adds."""
        return x + branch


class Tokens(nn.Module):
    """From a map of patches to tokens: class token in front, learned positions added."""

    def __init__(self, n_patches: int, dim: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.empty(1, 1 + n_patches, dim))
        nn.init.trunc_normal_(self.positions, std=0.02, a=-0.04, b=0.04)

    def forward(self, patches: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 1+h*w d"]:
        """Joins and adds."""
        tokens = patches.flatten(2).transpose(1, 2)
        front = self.class_token.expand(tokens.shape[0], -1, -1)
        return torch.cat((front, tokens), dim=1) + self.positions


class ClassToken(nn.Module):
    """The first token of each sample."""

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """Selects."""
        return tokens[:, 0]


class Positions(nn.Module):
    """Adds learned positions to tokens."""

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(1, length, dim))
        nn.init.trunc_normal_(self.positions, std=0.02, a=-0.04, b=0.04)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Adds."""
        return tokens + self.positions


class LastToken(nn.Module):
    """The last token of each sample."""

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """Selects."""
        return tokens[:, -1]


class SelfAttention(nn.Module):
    """softmax(q k^T / sqrt(D/heads)) v of each head, without weights; q, k and v come side by side.

    Where `causal`, a token attends to itself and those before it.

    PyTorch's fused kernels have no second derivative. Where one is needed (double backpropagation), call the
    model under `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`.
    """

    def __init__(self, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal

    def forward(self, qkv: Float[Tensor, "b n width"]) -> Float[Tensor, "b n width//3"]:
        """Attends within each sample."""
        batch, n_tokens, width = qkv.shape
        parts = qkv.reshape(batch, n_tokens, 3, self.heads, width // (3 * self.heads))
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return heads.transpose(1, 2).reshape(batch, n_tokens, width // 3)


class _Attention(nn.Module):
    """Multi-head self-attention: one linear layer to q, k, v, attention, one linear layer out."""

    def __init__(self, dim: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.attention = SelfAttention(heads, causal)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Attends."""
        result: Tensor = self.out(self.attention(self.qkv(tokens)))
        return result


class EncoderBlock(nn.Module):
    """Transformer block with the norm ahead (Dosovitskiy et al. 2021, Eqs. 2 and 3); of a decoder where `causal`."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, dropout: float, causal: bool = False) -> None:
        super().__init__()
        drop = nn.Dropout(dropout) if dropout else None
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attention = _Attention(dim, heads, causal)
        self.add1 = Add()
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = named(
            ("linear1", nn.Linear(dim, mlp_dim)),
            ("gelu", nn.GELU()),
            ("dropout", drop),
            ("linear2", nn.Linear(mlp_dim, dim)),
        )
        self.add2 = Add()

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Attention and MLP, each with a residual."""
        tokens = self.add1(tokens, self.attention(self.norm1(tokens)))
        result: Tensor = self.add2(tokens, self.mlp(self.norm2(tokens)))
        return result


class LowRank(nn.Module):
    """A linear layer or convolution with a low-rank adapter beside it (Hu et al. 2021): base(x) + scale up(down(x)).

    Args:
        base: the layer; `down` has its stride and padding, and `up` is a product per place.
        rank: width between `down` and `up`.
        scale: of the adapter.
    """

    def __init__(self, base: nn.Linear | nn.Conv2d, rank: int, scale: float) -> None:
        super().__init__()
        self.base, self.scale = base, scale
        self.down: nn.Linear | nn.Conv2d
        self.up: nn.Linear | nn.Conv2d
        if isinstance(base, nn.Linear):
            self.down = nn.Linear(base.in_features, rank, bias=False)
            self.up = nn.Linear(rank, base.out_features, bias=False)
        else:
            how: Any = {
                name: getattr(base, name) for name in ("kernel_size", "stride", "padding", "dilation")
            }
            groups, width = base.groups, rank * base.groups
            self.down = nn.Conv2d(base.in_channels, width, groups=groups, bias=False, **how)
            self.up = nn.Conv2d(width, base.out_channels, 1, groups=groups, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """The layer's output and the adapter's."""
        out: Tensor = self.base(x) + self.scale * self.up(self.down(x))
        return out
