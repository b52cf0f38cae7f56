"""How alike two pictures are: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["psnr_db", "ssim"]

_LEAST_ERROR: Final = 1e-12
_WINDOW: Final = 11
_SIGMA: Final = 1.5
_C1: Final = 0.01**2
_C2: Final = 0.03**2


def psnr_db(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio of pixels in [0, 1], in dB; no more than 120.

    Args:
        mean_squared_error: over all pixels.
    """
    return -10 * math.log10(max(mean_squared_error, _LEAST_ERROR))


def ssim(a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Structural similarity of pictures with pixels in [0, 1], [wang2004], Eq. (13), mean over windows and channels.

    Windows are Gaussian, 11 x 11 with a standard deviation of 1.5 pixels, and lie within the picture; where it is
    smaller they are as large as the largest odd number that fits. K1 = 0.01, K2 = 0.03.

    Returns:
        Of each pair: 1 for equal pictures, 0 for unlike ones, negative for negatives.
    """
    channels, height, width = a.shape[1:]
    size = min(_WINDOW, (min(height, width) - 1) // 2 * 2 + 1)
    places = torch.arange(size, device=a.device, dtype=torch.float64) - size // 2
    bell = (-(places**2) / (2 * _SIGMA**2)).exp()
    bell = bell / bell.sum()
    window = (bell[:, None] * bell[None, :]).expand(channels, 1, size, size)

    def local(pixels: Tensor) -> Tensor:
        return F.conv2d(pixels, window, groups=channels)

    a, b = a.double(), b.double()
    mean_a, mean_b = local(a), local(b)
    spread_a, spread_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    shared = local(a * b) - mean_a * mean_b
    found = (2 * mean_a * mean_b + _C1) * (2 * shared + _C2)
    found = found / ((mean_a**2 + mean_b**2 + _C1) * (spread_a + spread_b + _C2))
    return found.flatten(1).mean(1)
