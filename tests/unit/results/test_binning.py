"""Lines over rounds with fewer points."""

from __future__ import annotations

import pandas as pd
import pytest

from gapslsim.results._binning import binned


def test_a_short_line_is_left_as_it_is() -> None:
    table = pd.DataFrame({"a": [3.0, 1.0], "b": [0.0, 5.0]}, index=[1, 4])
    points, width = binned(table)
    assert width == 1
    assert points.index.tolist() == [1.0, 4.0]
    assert points.to_numpy().tolist() == table.to_numpy().tolist()


@pytest.mark.parametrize(("n", "width", "n_points"), [(60, 1, 60), (61, 2, 31), (120, 2, 60), (1000, 17, 59)])
def test_a_long_line_has_means_over_equally_many_rounds(n: int, width: int, n_points: int) -> None:
    table = pd.DataFrame({"a": [float(i * i) for i in range(n)]}, index=range(1, n + 1))
    points, found = binned(table)
    assert (found, len(points)) == (width, n_points)
    assert points.index[0] == (1 + width) / 2
    assert points["a"].iloc[0] == pytest.approx(sum(i * i for i in range(width)) / width)
    assert points.index[-1] <= n
