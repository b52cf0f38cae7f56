from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gapslsim.results.drawing.drawing import Curve, Mark, Panel, Row, Scale, Span


def test_a_logarithmic_axis_has_no_place_for_zero_so_curves_begin_behind_it_and_whiskers_end_at_its_edge():
    curve = pd.DataFrame({"x": [0.0, 2.0, 5.0], "mean": [0.1, 0.5, 0.9]})
    parts = [Curve(0, curve), Span((0.0, 4.0), (1, 1), 0), Mark(3.0, 1, 0)]
    log, plain = (
        Panel("", Scale("", 1, 10, log=is_log), Scale(), parts, [Row("a"), Row("b")]).parts
        for is_log in (True, False)
    )
    assert list(log[0].points["x"]) == [2.0, 5.0]
    assert log[1].x == (1, 4.0)
    assert log[1].y == (1, 1)
    assert log[2] == parts[2]
    assert list(plain[0].points["x"]) == [0.0, 2.0, 5.0]
    assert plain[1].x == (0.0, 4.0)


def test_a_logarithmic_scale_has_equal_steps_per_factor():
    scale = Scale("", 1, 100, log=True)
    assert [scale.share(v) for v in (1, 10, 100)] == pytest.approx([0, 0.5, 1])
    assert scale.ticks() == [1, 3, 10, 30, 100]


def test_scales_become_logarithmic_only_over_a_wide_range_of_positive_numbers():
    assert Scale.over([1, 100], log=None).log
    assert not Scale.over([1, 10], log=None).log
    assert not Scale.over([0, 100], log=None).log
    assert Scale.over([0, 100], log=True).low > 0


def test_a_scale_holds_its_values_has_room_for_arrows_and_begins_at_zero_if_told():
    plain, beyond = Scale.over([2, 12]), Scale.over([2, 12], beyond=True)
    assert (plain.low, plain.high) == (1.5, 12.5)
    assert (beyond.low, beyond.high) == (1.5, 13)
    assert Scale.over([2, 12], zero=True).low == 0
    assert Scale.over([]).share(0.5) == pytest.approx(0.5)
    assert Scale.over([float("nan"), 5.0]).share(5.0) >= 0


def test_curves_of_very_unlike_length_run_along_a_logarithmic_axis_from_their_first_place_above_zero():
    assert Scale.along([[0, 1, 8], [0, 1]]).log is False
    far = Scale.along([[0, 2, 9], [0, 1]], "time [s]")
    assert far.text == "time [s], log scale"
    assert 0 < far.low < 1
    assert Scale.along([]).low == 0


@example(low=879609.9999999999, length=1e-06, log=False)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_ticks_lie_on_the_axis_and_are_few(low, length, log):
    low = abs(low) + 1e-3 if log else low
    scale = Scale("", low, low + length, log=log)
    ticks = scale.ticks()
    assert len(ticks) <= 12
    assert all(-1e-6 <= scale.share(tick) <= 1 + 1e-6 for tick in ticks)
