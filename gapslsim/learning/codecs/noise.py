"""Noise on each sample, clipped: what privacy it gives can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from gapslsim.errors import ComponentError
from gapslsim.learning._privacy import gaussian_epsilon
from gapslsim.learning.codec import Codec, Encoded, Part, Shape, codecs
from gapslsim.registry import component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Noise"]


@codecs.register
@component
class Noise(Codec):
    """Gaussian or Laplace noise on every number; before it, each sample is scaled down to a norm of `clip` at most.

    The norm is that of the mechanism: L2 for Gaussian, L1 for Laplace noise. `epsilon` is that of the rows that a
    sample leaves in messages, against any other sample in its place (sensitivity 2 clip), to whoever knows the
    weights. It covers neither labels, which travel as they are, nor what weights have learned of a sample.
    """

    kind: Literal["noise"] = "noise"
    distribution: Literal["gaussian", "laplace"] = "gaussian"
    """Of the noise, with mean 0."""
    scale: PositiveFloat = 1.0
    """Standard deviation of Gaussian noise; b of Laplace noise, whose standard deviation is b sqrt(2)."""
    clip: PositiveFloat | None = None
    """C: the largest norm of a sample. Unless given nothing is clipped, and no epsilon can be told."""
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """delta at which epsilon is told; of no account to Laplace noise, whose delta is 0, nor to what is sent."""
    draws: ClassVar[bool] = True
    encode_flop: ClassVar[float] = 12.0
    """A norm, a scaling, a random number (about 8) and an addition."""
    decode_flop: ClassVar[float] = 0.0

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """None: numbers stay as wide as they are."""
        return ()

    def rest(self, shape: Shape) -> Shape:
        """All of it."""
        return shape

    def encode(self, values: Tensor, random: torch.Generator | None) -> Encoded:
        """Clipped, with noise."""
        import torch

        rows = values.flatten(1)
        if self.clip is not None:
            norms = rows.norm(p=2 if self.distribution == "gaussian" else 1, dim=1, keepdim=True)
            rows = rows * (self.clip / norms).clamp(max=1.0)
        draw = torch.randn if self.distribution == "gaussian" else torch.rand
        drawn = draw(rows.shape, generator=random, device=rows.device, dtype=rows.dtype)
        if self.distribution == "laplace":
            uniform = drawn - 0.5
            # The inverse of its distribution function; at -0.5 itself it would be infinite.
            below = uniform.abs().clamp(max=0.5 - torch.finfo(rows.dtype).eps / 4)
            drawn = -uniform.sign() * torch.log1p(-2 * below)
        return Encoded((), (rows + self.scale * drawn).reshape(values.shape))

    def decode(self, encoded: Encoded, shape: Shape, dtype: torch.dtype) -> Tensor:
        """As it came."""
        assert encoded.rest is not None
        return encoded.rest.reshape(shape)

    def epsilon(self, n_releases: int = 1) -> float:
        """Epsilon of the rows of one sample in so many messages, at `delta` (Laplace: 0).

        Gaussian: exact, by theorem 8 of Balle and Wang (arXiv 1805.06530); several releases are one of sqrt(n) times
        the sensitivity (corollary 2 of Dong, Roth and Su, arXiv 1905.02383). Laplace: 2 clip / scale, and basic
        composition (theorem 3.16 of Dwork and Roth 2014), an upper bound.

        Args:
            n_releases: messages that hold the sample, adaptively chosen.

        Raises:
            ComponentError: if nothing is clipped.
        """
        if self.clip is None:
            raise ComponentError(
                "noise without clip has no epsilon: a sample may lie as far out as it likes; add clip, the largest "
                "norm of a sample."
            )
        sensitivity = 2 * self.clip
        if self.distribution == "laplace":
            return n_releases * sensitivity / self.scale
        return gaussian_epsilon(sensitivity * n_releases**0.5 / self.scale, self.delta)
