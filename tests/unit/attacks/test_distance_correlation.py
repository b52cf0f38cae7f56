"""Distance correlation against cases worked by hand and by its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gapslsim.attacks.distance_correlation import (
    corrected_distance_correlation,
    distance_correlation,
    distances,
)


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_distances_of_numbers_and_of_tokens():
    assert distances(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]])).tolist() == pytest.approx(
        np.array([[0, 5, 4], [5, 0, 3], [4, 3, 0]])
    )
    # Two of three tokens differ: one-hot codes differ in four places by 1.
    assert distances(torch.tensor([[1, 2, 3], [1, 5, 6]]))[0, 1] == 2.0


def test_three_points_on_a_line_and_a_hat_by_hand():
    # Doubly centred distances in ninths: [-10 2 8; 2 -4 2; 8 2 -10] and [-2 4 -2; 4 -8 4; -2 4 -2]. Sums of products
    # 72, of squares 360 and 144 (all over 81): R^2 = 72 / sqrt(360 * 144) = 1 / sqrt(10).
    a, b = distances(column(0, 1, 2)), distances(column(0, 1, 0))
    assert distance_correlation(a, b) == pytest.approx(10**-0.25, abs=1e-12)


def test_four_points_corrected_by_hand():
    # Of 0, 1, 2, 3 and 0, 1, 1, 0. Row sums 6 4 4 6 of 20, and 2 2 2 2 of 8; U-centred off the diagonal
    # a - (row + column) / 2 + 20 / 6: 12 and 34: -2/3, 13 and 24: 1/3, 14: 1/3, 23: 1/3; and b - 2 + 4/3:
    # 12, 13, 24, 34: 1/3, 14 and 23: -2/3. Sums: products -4/9 + 2/9 - 4/9 = -6/9, squares 12/9 and 12/9.
    a, b = distances(column(0, 1, 2, 3)), distances(column(0, 1, 1, 0))
    assert corrected_distance_correlation(a, b) == pytest.approx(-math.sqrt(0.5), abs=1e-6)


def test_a_turned_scaled_and_shifted_copy_has_correlation_one():
    x = noise(1, 40, 3)
    turn = torch.linalg.qr(noise(2, 3, 3)).Q
    copy = 5.0 * x @ turn + 7.0
    for of in (distance_correlation, corrected_distance_correlation):
        assert of(distances(x), distances(x)) == pytest.approx(1.0, abs=1e-12)
        assert of(distances(x), distances(copy)) == pytest.approx(1.0, abs=1e-6)


def test_noise_is_correlated_only_where_it_is_not_corrected():
    # Many dimensions for few samples: the uncorrected one is near 1 whatever the data.
    a, b = distances(noise(1, 100, 500)), distances(noise(2, 100, 500))
    assert distance_correlation(a, b) > 0.8
    assert abs(corrected_distance_correlation(a, b)) < 0.15


def test_the_corrected_square_of_independent_samples_is_zero_on_average():
    found = []
    for seed in range(200):
        r = corrected_distance_correlation(
            distances(noise(seed, 20, 2)), distances(noise(1000 + seed, 20, 2))
        )
        found.append(math.copysign(r * r, r))
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(len(found))
    assert min(found) < 0 < max(found)


def test_of_a_parabola_there_is_a_distance_correlation_where_pearsons_is_none():
    x = torch.linspace(-1, 1, 101)[:, None]
    assert abs(np.corrcoef(x[:, 0], x[:, 0] ** 2)[0, 1]) < 1e-6
    assert distance_correlation(distances(x), distances(x**2)) == pytest.approx(0.49, abs=0.02)


def test_a_constant_is_independent_of_everything():
    a, b = distances(noise(1, 10, 2)), distances(torch.ones(10, 2))
    assert distance_correlation(a, b) == corrected_distance_correlation(a, b) == 0.0
