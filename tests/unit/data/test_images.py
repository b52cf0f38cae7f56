from __future__ import annotations

import numpy as np
import pytest

from gapslsim.data._images import ImageKind, normalise

KIND = ImageKind("any", (2, 4, 4), 2, mean=(0.5, 0.25), std=(0.5, 0.1), how_to_get="here")


def test_pixels_are_averaged_over_squares_and_normalised_by_channel() -> None:
    pixels = np.zeros((1, 2, 4, 4), dtype=np.uint8)
    pixels[0, 0, :2, :2] = [[255, 0], [255, 0]]  # mean 0.5 of 1
    pixels[0, 1, 2:, 2:] = [[51, 51], [51, 51]]  # mean 0.2 of 1
    inputs = normalise(pixels, 2, KIND)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs[0, 0], [[0, -1], [-1, -1]], atol=1e-6)
    np.testing.assert_allclose(inputs[0, 1], [[-2.5, -2.5], [-2.5, -0.5]], atol=1e-6)


def test_the_full_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 4), dtype=np.uint8)
    expected = (pixels / 255 - np.array([0.5, 0.25])[:, None, None]) / np.array([0.5, 0.1])[:, None, None]
    np.testing.assert_allclose(normalise(pixels, 4, KIND), expected, atol=1e-5)


@pytest.mark.parametrize("n", [0, 4096, 4097])
def test_the_mean_over_an_image_does_not_depend_on_the_size(n: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 2, 4, 4), dtype=np.uint8)
    np.testing.assert_allclose(
        normalise(pixels, 1, KIND)[:, :, 0, 0], normalise(pixels, 4, KIND).mean(axis=(2, 3)), atol=1e-5
    )
