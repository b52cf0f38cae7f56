from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gapslsim.results.report.svg import SHAPES, Plot, Scale, marker, swatch, tag


def test_attributes_and_text_are_escaped():
    plot = Plot(Scale(0, 1), Scale(0, 1))
    plot.text(1, 2, "<b>&")
    svg = plot.svg('"title" <i>')
    assert "&lt;b&gt;&amp;" in svg
    assert "<i>" not in svg
    assert tag("a", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;"/>'
    ET.fromstring(svg)


def test_places_are_linear_between_the_ends_of_the_axes():
    plot = Plot(Scale(0, 10), Scale(0, 1), width=110, left=5, right=5, height=148, top=10)
    assert plot.at(5, 0.5) == (55, 60)
    assert plot.at(0, 0) == (5, 110)


def test_a_logarithmic_scale_has_equal_steps_per_factor():
    scale = Scale(1, 100, log=True)
    assert [scale.share(v) for v in (1, 10, 100)] == pytest.approx([0, 0.5, 1])
    assert scale.ticks() == [1, 3, 10, 30, 100]


def test_scales_become_logarithmic_only_over_a_wide_range_of_positive_numbers():
    assert Scale.over([1, 100], may_log=True).log
    assert not Scale.over([1, 10], may_log=True).log
    assert not Scale.over([0, 100], may_log=True).log


@example(low=879609.9999999999, length=1e-06, log=False)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_ticks_lie_on_the_axis_and_are_few(low, length, log):
    low = abs(low) + 1e-3 if log else low
    scale = Scale(low, low + length, log=log)
    ticks = scale.ticks()
    assert len(ticks) <= 12
    assert all(-1e-6 <= scale.share(tick) <= 1 + 1e-6 for tick in ticks)


def test_every_series_has_its_own_mark_and_series_beyond_the_palette_too():
    drawn = {marker(0, 0, series) for series in range(2 * len(SHAPES))}
    assert len(drawn) == 2 * len(SHAPES)
    assert swatch(0) != swatch(1)


def test_a_line_leaves_out_what_is_not_finite():
    plot = Plot(Scale(0, 1), Scale(0, 1))
    plot.line([(0, float("nan")), (0.5, 0.5), (1, 1)], 0)
    plot.line([(0, float("nan"))], 1)
    plot.band([(0, 0, 1)], 0)
    assert "nan" not in plot.svg("x")
    assert "c1" not in plot.svg("x")
