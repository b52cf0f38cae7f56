"""Features that vary most over the batch, quantised each in its own range; the others are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gapslsim.learning.codec import Encoded, LossyCodec, Part, Shape, Where, codecs, n_columns
from gapslsim.learning.codecs.quantise import Quantise
from gapslsim.registry import component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["DropoutQuantise"]


@codecs.register
@component
class DropoutQuantise(LossyCodec):
    """Adaptive feature-wise dropout and quantisation, after SplitFC (arXiv 2307.10805).

    Of the d features (numbers of a sample) K = share * d are kept: feature i with probability q_i = min(1, c *
    sigma_i), sigma_i its standard deviation over the batch and c such that the q_i sum to K. What is kept is divided
    by q_i, so that features that vary are unbiased; then each is quantised between its least and greatest value.
    The source sends of the gradient what belongs to kept features: `gradients_follow`.

    Departures from the source: exactly K features are kept (systematic sampling, Madow 1949, has these very q_i), not
    K on the mean, so that bytes follow from the shape; features that are constant over the batch are kept only where
    less than K vary; standard deviations are of the values as they are, not normalised by channel; all kept features
    have the same number of levels, where the source divides a budget of bits among them and sends the mean of some;
    ranges are sent in float32.
    """

    kind: Literal["dropout_quantise"] = "dropout_quantise"
    share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """K / d: features that are kept; at least one is."""
    bits: Annotated[int, Field(ge=1, le=16)] = 8
    """Of each number that is sent."""
    rounding: Literal["nearest", "stochastic"] = "nearest"
    """Nearest, halves to even; or stochastic, which is unbiased."""
    draws: ClassVar[bool] = True
    encode_flop: ClassVar[float] = 10.0
    """Mean and variance of a feature (4 per number), then as `quantise`: charged as if all were kept."""

    @property
    def _quantise(self) -> Quantise:
        return Quantise(bits=self.bits, per="channel", rounding=self.rounding)

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """A bit for each feature, then those of `quantise` for what is kept."""
        return Part(n_columns(shape), 1), *self._quantise.parts((shape[0], self.n_sent(shape)))

    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """Which are kept, their ranges and codes."""
        import torch

        rows, n_kept = values.flatten(1), self.n_sent(values.shape)
        chances = _chances(rows, n_kept)
        is_kept = torch.zeros(rows.shape[1], dtype=torch.bool, device=rows.device)
        is_kept[_drawn(chances, n_kept, random)] = True
        slopes = 1 / chances[is_kept].to(rows.dtype)
        kept = rows[:, is_kept] * slopes
        inner = self._quantise.encode(kept, random if self.rounding == "stochastic" else None)
        of_all = (is_kept.nonzero().flatten(), slopes)
        where = Where(*(part.expand(len(rows), n_kept) for part in of_all))
        return Encoded((is_kept.to(torch.int64), *inner.parts), where=where)

    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """Zeros, and what was kept."""
        mask, *inner = encoded.parts
        kept = self._quantise.decode(Encoded(tuple(inner)), (shape[0], self.n_sent(shape)), dtype)
        rows = kept.new_zeros(shape[0], n_columns(shape))
        rows[:, mask.bool()] = kept
        return rows.reshape(shape)

    def n_sent(self, shape: Shape) -> int:
        """K."""
        return max(1, round(self.share * n_columns(shape)))


def _chances(rows: Tensor, n_kept: int) -> Tensor:
    """q_i in (0, 1], float64 [d], which sum to `n_kept` as far as features vary."""
    import torch

    d = rows.shape[1]
    spread = rows.double().std(0, correction=0) if len(rows) else rows.new_zeros(d).double()
    spread = torch.where(spread.isfinite(), spread, 1e150)  # so that what is not finite shows at the server
    n_varying = int((spread > 0).sum())
    if n_varying <= n_kept:
        others = (n_kept - n_varying) / max(d - n_varying, 1)
        return torch.where(spread > 0, 1.0, others)
    descending = spread.sort(descending=True).values
    left = descending.flip(0).cumsum(0).flip(0)  # of each and all below it
    # c if the m that vary most are kept for sure; m is right as soon as the next one has no more than 1.
    factors = (n_kept - torch.arange(d, device=rows.device)).clamp(min=0) / left.clamp(min=1e-300)
    m = int((factors * descending <= 1).int().argmax())
    return (factors[m] * spread).clamp(max=1.0)


def _drawn(chances: Tensor, n_kept: int, random: torch.Generator | None) -> Tensor:
    """Indices of exactly `n_kept` features, each with its chance: systematic sampling in a random order."""
    import torch

    device = chances.device
    order = torch.randperm(len(chances), generator=random, device=device)
    start = torch.rand((), dtype=torch.float64, generator=random, device=device)
    ends = chances[order].cumsum(0)
    ends = ends * (n_kept / ends[-1])
    marks = start + torch.arange(n_kept, device=chances.device)
    places = torch.searchsorted(ends, marks, right=True).clamp(max=len(chances) - 1)
    # Rounding may put two marks into one interval: then those that were least likely to be left out are added.
    is_taken = torch.zeros(len(chances), dtype=torch.bool, device=chances.device)
    is_taken[order[places]] = True
    missing = n_kept - int(is_taken.sum())
    if missing:
        is_taken[torch.where(is_taken, -1.0, chances).topk(missing).indices] = True
    return is_taken.nonzero().flatten()
