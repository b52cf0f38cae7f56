"""What a draw of a standard normal variable makes of a figure."""

from __future__ import annotations

import math

import pytest

from gapslsim.hardware.figure import Figure
from gapslsim.hardware.spread import NINE_OF_TEN, SPREAD_OF_TIME, factor_of

TEXT = {"status": "published", "source": "chosen for the test"}


def test_the_ends_of_a_range_are_its_5th_and_95th_percentile_also_where_it_is_not_even() -> None:
    figure = Figure[float](value=10.0, low=8.0, high=40.0, **TEXT)  # type: ignore[arg-type]
    assert factor_of(figure, -NINE_OF_TEN, SPREAD_OF_TIME) == pytest.approx(0.8)
    assert factor_of(figure, 0.0, SPREAD_OF_TIME) == 1
    assert factor_of(figure, NINE_OF_TEN, SPREAD_OF_TIME) == pytest.approx(4)


def test_without_a_range_the_standard_error_tells_and_without_that_the_status() -> None:
    fitted = Figure[float](value=10.0, standard_error=0.5, **TEXT)  # type: ignore[arg-type]
    assert factor_of(fitted, 1.0, SPREAD_OF_TIME) == pytest.approx(1.05, rel=2e-3)
    bare = Figure[float](value=10.0, **TEXT)  # type: ignore[arg-type]
    assert factor_of(bare, -1.0, SPREAD_OF_TIME) == math.exp(-SPREAD_OF_TIME["published"])
