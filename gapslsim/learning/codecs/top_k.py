"""The largest numbers of each sample, and where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gapslsim.learning.codec import Encoded, LossyCodec, Part, Shape, Where, codecs, n_columns
from gapslsim.registry import component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["TopK"]


@codecs.register
@component
class TopK(LossyCodec):
    """The k numbers of each sample with the greatest absolute values, as they are, with their places; others are 0.

    With `randomised` above 0 it is RandTop-k (arXiv 2305.18469): each of the k is drawn without replacement, with
    weight (1 - randomised) / k if it is among the k greatest and randomised / (d - k) if not. The source
    sends of the gradient what stands at the same places: `gradients_follow`.
    """

    kind: Literal["top_k"] = "top_k"
    share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Numbers that are sent of each sample's d: k = share * d, rounded, and at least one."""
    randomised: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """alpha: how much of the draw goes to numbers that are not among the greatest; 0 draws nothing."""
    encode_flop: ClassVar[float] = 4.0
    """An absolute value and the comparisons of a selection, which are linear on the mean (quickselect)."""
    decode_flop: ClassVar[float] = 1.0

    @property
    def draws(self) -> bool:  # type: ignore[override]
        """Where it is randomised."""
        return self.randomised > 0

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """A place for each number, of as many bits as the places of a sample need."""
        return (Part(shape[0] * self.n_sent(shape), (n_columns(shape) - 1).bit_length()),)

    def rest(self, shape: Shape) -> Shape:
        """[n, k] numbers."""
        return shape[0], self.n_sent(shape)

    def n_sent(self, shape: Shape) -> int:
        """The share, k."""
        return max(1, round(self.share * n_columns(shape)))

    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """Places in ascending order, and what stands there."""
        import torch

        rows, k = values.flatten(1), self.n_sent(values.shape)
        places = rows.abs().topk(k, dim=1, sorted=False).indices
        d = rows.shape[1]
        if random is not None and k < d:
            weights = torch.full_like(rows, self.randomised / (d - k))
            weights.scatter_(1, places, (1 - self.randomised) / k)
            # The first k of a race with these rates: drawn one after the other without replacement.
            race = torch.rand(rows.shape, generator=random, dtype=rows.dtype, device=rows.device)
            places = (race.log() / weights).topk(k, dim=1, sorted=False).indices
        places = places.sort(1).values
        return Encoded((places.reshape(-1),), rows.gather(1, places), Where(places))

    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """Zeros, and the numbers at their places."""
        assert encoded.rest is not None
        rows = encoded.rest.new_zeros((shape[0], n_columns(shape)), dtype=dtype)
        places = encoded.parts[0].reshape(encoded.rest.shape)
        return rows.scatter_(1, places, encoded.rest.to(dtype)).reshape(shape)
