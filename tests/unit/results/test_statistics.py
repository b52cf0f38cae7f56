from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.results.statistics import dominated, ends_highest, mean_curve, spread


def test_deviation_and_interval_are_students():
    found = spread([1.0, 2.0, 3.0])
    assert (found.n, found.mean, found.deviation, found.low, found.high) == (3, 2.0, 1.0, 1.0, 3.0)
    # Table of Student's t: 4.303 for 2 degrees of freedom at 97.5 %.
    assert found.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_one_seed_has_no_deviation_and_none_no_mean():
    assert math.isnan(spread([2.0]).half_width)
    assert spread([2.0]).words(lambda v: f"{v:g}") == "2"
    assert spread([math.nan]).words(str) == "-"


def test_an_interval_of_accuracies_ends_at_one():
    text = spread([0.98, 1.0]).words(lambda v: f"{v:.3f}", 1.0)
    assert text == "0.990 ± 0.014\n0.863 .. 1.000"


def test_curves_are_averaged_where_all_seeds_have_values():
    a = pd.DataFrame({"x": [0.0, 1.0, 2.0], "accuracy": [0.0, 1.0, 2.0]})
    b = pd.DataFrame({"x": [0.5, 2.5], "accuracy": [1.5, 3.5]})
    found = mean_curve([a, b], "x")
    assert found["x"].tolist() == [0.5, 1.0, 2.0]
    assert found["mean"].tolist() == pytest.approx([1.0, 1.5, 2.5])
    assert found["low"].tolist() == pytest.approx([0.5, 1.0, 2.0])
    assert found["high"].tolist() == pytest.approx([1.5, 2.0, 3.0])


def test_no_curve_gives_an_empty_one():
    assert list(mean_curve([], "x").columns) == ["x", "mean", "low", "high"]


def test_the_front_is_what_nothing_else_beats():
    assert dominated([(1, 3), (2, 2), (3, 1), (3, 3), (1, 3)]) == [None, None, None, 0, None]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_something_is_always_on_the_front_and_everything_else_is_beaten(points):
    found = dominated(points)
    assert None in found
    for point, by in zip(points, found, strict=True):
        if by is not None:
            assert points[by] != point
            assert all(a <= b for a, b in zip(points[by], point, strict=True))


def test_equal_accuracies_are_not_ranked():
    assert ends_highest({"a": 0.5}) == "a ends highest"
    assert ends_highest({"a": 0.5, "b": 0.7}) == "b ends highest"
    assert ends_highest({"a": 0.7, "b": 0.5, "c": 0.7}) == "a and c end highest"
    assert ends_highest({"a": 0.7, "b": 0.7}) == "all end equally high"
