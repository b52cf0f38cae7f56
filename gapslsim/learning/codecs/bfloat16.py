"""Numbers of 16 bits, bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from gapslsim.learning.codec import Encoded, LossyCodec, Part, Shape, codecs, n_columns
from gapslsim.registry import component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Bfloat16"]


@codecs.register
@component
class Bfloat16(LossyCodec):
    """The range of float32 with 8 bits of precision (bfloat16)."""

    kind: Literal["bfloat16"] = "bfloat16"
    encode_flop: ClassVar[float] = 1.0
    decode_flop: ClassVar[float] = 1.0
    is_elementwise: ClassVar[bool] = True

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Every number in 16 bits."""
        return (Part(shape[0] * n_columns(shape), 16),)

    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """Rounded to the nearest."""
        import torch

        return Encoded((values.reshape(-1).to(torch.bfloat16),))

    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """The same numbers in the wider type."""
        return encoded.parts[0].to(dtype).reshape(shape)
