"""No codec: numbers travel as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from gapslsim.learning.codec import Codec, Encoded, Part, Shape, codecs
from gapslsim.registry import component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["NoCodec"]


@codecs.register
@component
class NoCodec(Codec):
    """Numbers travel as they are, at no cost; the same as no codec at all."""

    kind: Literal["none"] = "none"
    encode_flop: ClassVar[float] = 0.0
    decode_flop: ClassVar[float] = 0.0
    is_elementwise: ClassVar[bool] = True

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """None."""
        return ()

    def rest(self, shape: Shape) -> Shape:
        """All of it."""
        return shape

    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """The tensor itself."""
        return Encoded((), values)

    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """The tensor itself."""
        assert encoded.rest is not None
        return encoded.rest
