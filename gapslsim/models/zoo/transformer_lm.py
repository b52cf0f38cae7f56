"""Small transformer language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator

from gapslsim.bounds import Depth, Width
from gapslsim.models.checks import check_classes, check_cut
from gapslsim.models.model import Model, models
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TransformerLm"]


@models.register
@component
class TransformerLm(Model):
    """Decoder of Vaswani et al. 2017 with norms ahead, as in GPT-2 (Radford et al. 2019): tells the next token.

    Inputs are tokens [T], whole numbers below the number of classes, which is the vocabulary; the output is one logit
    per token that may come next. Blocks: `embed` (tokens and learned positions), `layer1`, `layer2`, ... (causal
    attention and MLP, each with a residual), `head` (layer norm, last position, linear). Weights: normal of std 0.02,
    biases 0.
    """

    kind: Literal["transformer_lm"] = "transformer_lm"
    input_dtype: ClassVar[Literal["float32", "int64"]] = "int64"
    cut: PositiveInt = 1
    """Layers on the client (with the embedding), from 1 to all of them."""
    dim: Width = 64
    """Width of a token."""
    depth: Depth = 2
    """Number of layers."""
    heads: Annotated[PositiveInt, Field(validate_default=True)] = 4
    """Attention heads; must divide `dim`."""
    mlp_dim: Width | None = None
    """Width of the hidden layer of each MLP; null: 4 x dim."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of hidden MLP units dropped in training."""

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

        (length,) = self._check(input_shape, n_classes)
        blocks: list[tuple[str, nn.Module]] = [
            (
                "embed",
                layers.named(
                    ("tokens", nn.Embedding(n_classes, self.dim)),
                    ("positions", layers.Positions(length, self.dim)),
                ),
            )
        ]
        for index in range(self.depth):
            mlp_dim = self.mlp_dim or 4 * self.dim
            block = layers.EncoderBlock(self.dim, self.heads, mlp_dim, self.dropout, causal=True)
            blocks.append((f"layer{index + 1}", block))
        head = layers.named(
            ("norm", nn.LayerNorm(self.dim, eps=1e-6)),
            ("last", layers.LastToken()),
            ("linear", nn.Linear(self.dim, n_classes)),
        )
        return layers.vit_init([*blocks, ("head", head)])

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client, the embedding among them; see the base class."""
        self._check(input_shape, n_classes)
        return 1 + check_cut("transformer_lm", self.cut, self.depth + 1, f"{self.depth} layers")

    def _check(self, input_shape: tuple[int, ...], n_classes: int) -> tuple[int]:
        check_classes("transformer_lm", n_classes)
        if len(input_shape) != 1 or input_shape[0] < 1:
            raise ValueError(
                f"model transformer_lm needs tokens of shape (length,), found inputs of shape {tuple(input_shape)};"
                " take data of tokens (kind text)."
            )
        return (input_shape[0],)
