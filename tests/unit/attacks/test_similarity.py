"""SSIM and PSNR against their formulas."""

from __future__ import annotations

import pytest
import torch

from gapslsim.attacks.similarity import psnr_db, ssim


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_psnr_is_ten_decibel_per_power_of_ten_and_ends_at_120():
    assert psnr_db(0.01) == pytest.approx(20.0)
    assert psnr_db(0.0) == 120.0


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 1, 5), (2, 12, 9)])
def test_equal_pictures_are_alike_by_one(shape):
    images = noise(4, *shape)
    assert ssim(images, images).tolist() == pytest.approx([1.0] * 4)


def test_two_grey_pictures_are_as_alike_as_the_formula_says():
    a, b = torch.full((1, 1, 16, 16), 0.25), torch.full((1, 1, 16, 16), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(expected, abs=1e-6)


def test_a_picture_and_itself_made_brighter_differ_in_brightness_alone():
    # One window of three pixels a side, whose spread the shift does not change.
    a = 0.5 * noise(1, 1, 3, 3)
    shift = 0.3
    places = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    bell = torch.exp(-(places**2) / (2 * 1.5**2))
    window = torch.outer(bell, bell) / bell.sum() ** 2
    mean = float((window * a[0, 0].double()).sum())
    expected = (2 * mean * (mean + shift) + 1e-4) / (mean**2 + (mean + shift) ** 2 + 1e-4)
    assert ssim(a, a + shift).item() == pytest.approx(expected, abs=1e-6)


def test_a_negative_is_unlike_and_noise_is_near_nothing():
    a = noise(1, 1, 32, 32)
    assert ssim(a, 1 - a).item() < -0.5
    assert abs(ssim(a, noise(1, 1, 32, 32, seed=2)).item()) < 0.2


def test_windows_are_eleven_wide_and_stay_within_the_picture():
    a = noise(1, 1, 12, 12)
    b = a.clone()
    b[..., 0] = 1 - b[..., 0]  # Only windows that begin in the first column see it: half of four.
    first, rest = ssim(a[..., :11], b[..., :11]), ssim(a[..., 1:], b[..., 1:])
    assert rest.item() == pytest.approx(1.0)
    assert ssim(a, b).item() == pytest.approx((first.item() + 1.0) / 2)
