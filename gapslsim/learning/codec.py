"""What a codec is: how a tensor that travels is written in fewer bits, or with noise, and read again.

A message is a batch of rows, one per sample. A codec writes parts whose sizes follow from the shape alone, so that a
dry run charges the same bytes, and may leave a tensor to the next codec of a list (`rest`), which is sent as it is if
there is none. What both ends compute is charged to their devices (`work`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator

from gapslsim.registry import Family, component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Codec", "Codecs", "Encoded", "LossyCodec", "Part", "Shape", "Way", "Where", "codecs", "n_columns"]

Way = Literal["activations", "gradients"]
"""Of a message: towards the loss, or back."""
Shape = tuple[int, ...]
"""Of a message: samples first."""


@dataclass(frozen=True, slots=True)
class Part:
    """Numbers of one width that a codec sends: whole numbers of `bits` bits each, or floats of 16 or 32."""

    count: int
    bits: int
    """Of each number; packed without gaps, the last byte filled up."""

    @property
    def size_bytes(self) -> int:
        """Of all of them [B]."""
        return -(-self.count * self.bits // 8)


class Where(NamedTuple):
    """Numbers of each sample that were sent; all others arrive as 0, and have no gradient."""

    places: Tensor
    """int64 [n, k], ascending."""
    slopes: Tensor | None = None
    """float [n, k], derivative of what arrives by what was sent, which the sender knows; None for 1."""


class Encoded(NamedTuple):
    """What a codec makes of a tensor."""

    parts: tuple[Tensor, ...]
    """One per `Codec.parts`: int64 codes, or float16, bfloat16, float32."""
    rest: Tensor | None = None
    """What is left for the next codec, of the shape that `Codec.rest` tells."""
    where: Where | None = None
    """Of a codec that says `n_sent`: which numbers were sent. The receiver learns the places from the message."""


@component
class Codec(ABC):
    """Settings of a codec; a pydantic component and pure functions. Imports torch inside its methods only."""

    kind: str
    """Name in scenarios; each codec fixes its own."""
    draws: ClassVar[bool] = False
    """Whether encoding draws random numbers."""
    is_elementwise: ClassVar[bool] = False
    """Whether each number is written by itself in a fixed number of bytes, so that samples may be sent apart."""
    encode_flop: ClassVar[float] = 2.0
    """FLOP of encoding per number of the message."""
    decode_flop: ClassVar[float] = 2.0
    """FLOP of decoding per number of the message."""

    @abstractmethod
    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """What is sent for a tensor of this shape, beside the rest."""

    @abstractmethod
    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """What is sent.

        Args:
            values: float [n, ...]; n may be 0. Never written to.
            random: the message's own stream; None for a codec that draws nothing.
        """

    @abstractmethod
    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """What arrives, from what was sent alone: of this shape and type."""

    def rest(self, shape: Shape) -> Shape | None:
        """Shape of the tensor that is left for the next codec; None if all is in the parts."""
        return None

    def n_sent(self, shape: Shape) -> int | None:
        """Numbers of each sample that are sent, k; None where no number is left out."""
        return None

    @property
    def feeds_back(self) -> bool:
        """Whether what is lost on the way is added to the next message."""
        return False


@component
class LossyCodec(Codec):
    """A codec that loses something, which may be fed back."""

    error_feedback: bool = False
    """What is lost of a message is added to the next one of the same sender and way, row by row, as in EF-SGD (arXiv
    1901.09847; Seide et al. 2014). In a list: what this codec and all after it lose."""

    @property
    def feeds_back(self) -> bool:
        """As set."""
        return self.error_feedback


codecs: Family[Codec] = Family("codec", "gapslsim.learning.codecs")


def n_columns(shape: Shape) -> int:
    """Numbers of one sample."""
    return math.prod(shape[1:])


def _several(value: Any) -> Any:
    """One codec as a list of one."""
    return value if isinstance(value, (list, tuple)) else (value,)


_One = Annotated[Codec, codecs]
Codecs = Annotated[
    tuple[_One, ...], BeforeValidator(_several, json_schema_input_type=_One | tuple[_One, ...])
]
"""One codec, or several that are applied in order."""
