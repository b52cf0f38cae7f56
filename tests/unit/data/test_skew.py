from __future__ import annotations

import numpy as np
import pytest

from gapslsim.data.skew import skew


def test_skew_of_two_clients_is_as_worked_out_by_hand() -> None:
    # All: 4 zeros, 2 ones, so p = (2/3, 1/3). Client 0: (1, 0), distance 1/3. Client 1: (1/2, 1/2), distance 1/6.
    labels = np.array([0, 0, 0, 0, 1, 1])
    result = skew(labels, [np.array([0, 1]), np.array([2, 3, 4, 5])], 3)
    assert result.counts.tolist() == [[2, 0, 0], [2, 2, 0]]
    assert result.sizes.tolist() == [2, 4]
    assert result.total_variation == pytest.approx([1 / 3, 1 / 6], abs=1e-15)


def test_the_same_labels_everywhere_have_no_skew() -> None:
    labels = np.tile(np.arange(4), 6)
    assert not skew(labels, list(np.arange(24).reshape(3, 8)), 4).total_variation.any()
