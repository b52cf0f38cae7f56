"""Numbers of 16 bits, float16."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from gapslsim.learning.codec import Encoded, LossyCodec, Part, Shape, codecs, n_columns
from gapslsim.registry import component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Float16"]


@codecs.register
@component
class Float16(LossyCodec):
    """IEEE's half precision: 11 bits of precision, up to 65504; what is larger becomes infinite, which ends the run."""

    kind: Literal["float16"] = "float16"
    encode_flop: ClassVar[float] = 1.0
    decode_flop: ClassVar[float] = 1.0
    is_elementwise: ClassVar[bool] = True

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Every number in 16 bits."""
        return (Part(shape[0] * n_columns(shape), 16),)

    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """Rounded to the nearest."""
        import torch

        return Encoded((values.reshape(-1).to(torch.float16),))

    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """The same numbers in the wider type."""
        return encoded.parts[0].to(dtype).reshape(shape)
