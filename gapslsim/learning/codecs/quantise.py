"""Whole numbers of a few bits between the least and the greatest value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gapslsim.learning.codec import Encoded, LossyCodec, Part, Shape, codecs, n_columns
from gapslsim.registry import component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Quantise"]


@codecs.register
@component
class Quantise(LossyCodec):
    """Uniform quantisation: 2^bits levels from the least to the greatest value of each group, both sent in float32.

    A value x becomes the code (x - lo) / step, rounded, and is read as lo + code * step; a step is
    (hi - lo) / (2^bits - 1).
    With `rounding: stochastic` it is rounded up with the probability of its fraction, so that it is unbiased: the mean
    over the draws is x. `nearest` errs by half a step at most, and is biased.
    """

    kind: Literal["quantise"] = "quantise"
    bits: Annotated[int, Field(ge=1, le=16)] = 8
    """Of each number."""
    per: Literal["tensor", "channel", "sample"] = "tensor"
    """What has a range of its own: the whole message, each channel (the second axis of images and of flat features, the
    last of sequences [n, t, c]), or each sample."""
    rounding: Literal["nearest", "stochastic"] = "nearest"
    """Nearest, halves to even; or stochastic, which is unbiased."""
    encode_flop: ClassVar[float] = 6.0
    """Two comparisons, a subtraction, a division, a rounding, a clamp."""

    @property
    def draws(self) -> bool:  # type: ignore[override]
        """Where it rounds by chance."""
        return self.rounding == "stochastic"

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Least value and step of each group, then the codes."""
        n_groups = {"tensor": 1, "sample": shape[0], "channel": shape[_channel_of(shape)]}[self.per]
        return Part(n_groups, 32), Part(n_groups, 32), Part(shape[0] * n_columns(shape), self.bits)

    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """Least values, steps and codes, group by group."""
        import torch

        groups, n_steps = self._grouped(values), 2**self.bits - 1
        if not values.numel():
            none = torch.zeros(len(groups), device=values.device)
            return Encoded((none, none, groups.reshape(-1).to(torch.int64)))
        low, high = groups.amin(1), groups.amax(1)
        low, step = low.float(), ((high - low) / n_steps).float()
        lows, steps = (part.to(values.dtype)[:, None] for part in (low, step))
        # What is all alike has step 0, and is its least value.
        codes = torch.where(steps != 0, (groups - lows) / steps, 0.0)
        if random is None:
            codes = codes.round()
        else:
            drawn = torch.rand(codes.shape, generator=random, device=codes.device, dtype=codes.dtype)
            codes = (codes + drawn).floor()
        return Encoded((low, step, codes.clamp(0, n_steps).to(torch.int64).reshape(-1)))

    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """The level of each code."""
        low, step, codes = encoded.parts
        at = _channel_of(shape) if self.per == "channel" else 0
        moved = (shape[at], *(n for axis, n in enumerate(shape) if axis != at))
        lows, steps = (part.to(dtype).reshape(-1, *[1] * (len(shape) - 1)) for part in (low, step))
        return (lows + codes.reshape(moved).to(dtype) * steps).movedim(0, at)

    def _grouped(self, values: Tensor) -> Tensor:
        """[groups, numbers of each]."""
        if self.per == "tensor":
            return values.reshape(1, -1)
        return values.movedim(_channel_of(values.shape) if self.per == "channel" else 0, 0).flatten(1)


def _channel_of(shape: Shape) -> int:
    """The axis of channels."""
    return 2 if len(shape) == 3 else 1
