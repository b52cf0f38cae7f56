from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd

from gapslsim.results.drawing.drawing import SHAPES, Bar, Curve, Mark, Panel, Picture, Row, Scale, Span
from gapslsim.results.drawing.svg import panel_svg, swatch, tag

UNIT = Scale("", 0, 1)


def points(*rows):
    return pd.DataFrame(rows, columns=["x", "mean", "low", "high"][: len(rows[0])])


def test_attributes_and_text_are_escaped():
    panel = Panel(
        "<i>", Scale('"x" <b>', 0, 1), UNIT, [Bar(0, 0, 1, 0, about="<u>", text="<s>")], [Row("<b>&", "<n>")]
    )
    svg = panel_svg(panel, '"title" <i>')
    assert "&lt;b&gt;&amp;" in svg
    assert not re.search("<[ibusn]>", svg)
    assert tag("a", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;"></a>'
    ET.fromstring(svg)


def test_places_are_linear_between_the_ends_of_the_axes():
    svg = panel_svg(Panel("", Scale("", 0, 10), UNIT, [Mark(5, 0.5, 0), Mark(0, 0, 0)]))
    # 46 units on the left, 10 on the right of 380; 24 above, 38 below of 230.
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert found == [("208", "108"), ("46", "192")]


def test_rows_lie_below_one_another_and_long_names_are_cut():
    panel = Panel(
        "", UNIT, Scale(), [Bar(1, 0, 1, "uplink", "told")], [Row("a" * 30), Row("b")], row_height=20
    )
    svg = panel_svg(panel)
    assert f"{'a' * 17}…" in svg
    assert 'y="27.5"' in svg  # 6 above, 20 per row, 17 high
    assert "<title>told</title>" in svg


def test_every_series_has_its_own_mark_and_series_beyond_the_palette_too():
    drawn = {panel_svg(Panel("", UNIT, UNIT, [Mark(0, 0, series)])) for series in range(2 * len(SHAPES))}
    assert len(drawn) == 2 * len(SHAPES)
    assert swatch(0) != swatch(1)


def test_a_lower_bound_is_hollow_with_an_arrow():
    svg = panel_svg(Panel("", UNIT, UNIT, [Mark(0.5, 0.5, 0, "right")]))
    assert "hollow" in svg
    assert "arrow" in svg
    assert "hollow" not in panel_svg(Panel("", UNIT, UNIT, [Mark(0.5, 0.5, 0)]))


def test_what_is_not_finite_is_left_out():
    nan = float("nan")
    parts = [
        Curve(0, points((0, nan, nan, nan), (0.5, 0.5, 0.4, 0.6), (1, 1, 0.9, 1))),
        Curve(1, points((0, nan))),
        Curve(2, points((0, 0.5, 0, 1))),
    ]
    svg = panel_svg(Panel("", UNIT, UNIT, parts))
    assert "nan" not in svg
    assert "c1" not in svg
    assert svg.count("band") == 1


def test_a_matrix_is_of_squares_below_the_names_of_its_columns():
    bars = [Bar(row, column, column + 1, 3, shade=0.5, text="9") for row in (0, 1) for column in (0, 1)]
    panel = Panel(
        "", Scale("", 0, 2), Scale(), bars, [Row("p"), Row("q")], row_height=100, columns=["r", "s"]
    )
    root = ET.fromstring(panel_svg(panel))
    sizes = {(rect.get("width"), rect.get("height")) for rect in root.iter("rect")}
    assert sizes == {("99", "99")}
    assert [text.text for text in root.iter("text")][:2] == ["r", "s"]


def test_a_median_and_a_line_of_reference_look_unlike_spreads_and_series():
    parts = [
        Span((0, 1), (0.5, 0.5), 2),
        Span((0.5, 0.5), (0, 1), strong=True),
        Curve(None, points((0, 0), (1, 1))),
    ]
    svg = panel_svg(Panel("", UNIT, UNIT, parts))
    assert [cls in svg for cls in ('"range c2"', '"tick"', '"front"', "line c")] == [True, True, True, False]


def test_a_pale_piece_is_pale_also_where_it_is_of_a_category():
    pale, full = (
        panel_svg(Panel("", UNIT, Scale(), [Bar(0, 0, 1, "uplink", shade=shade)], [Row("a")]))
        for shade in (0.3, 1.0)
    )
    assert 'fill-opacity="0.3"' in pale
    assert "fill-opacity" not in full


def test_there_is_room_above_the_rows_for_what_their_notes_are():
    svg = panel_svg(Panel("", UNIT, Scale(), [Bar(0, 0, 1, 0)], [Row("a", "3 %")], note_label="away"))
    _, y = re.search(r'<text x="([\d.]+)" y="([-\d.]+)"[^>]*>away</text>', svg).groups()
    assert float(y) > 11


def test_a_picture_fills_its_cell_and_tells_what_it_is():
    image = np.array([[0, 255]], np.uint8)
    panel = Panel(
        "", Scale("", 0, 2), Scale(), [Picture(1, 1, image, "<told>")], [Row("a"), Row("b")], 40, ["p", "q"]
    )
    svg = panel_svg(panel)
    ET.fromstring(svg)
    # 46 units on the left and 24 above, cells of 40, one unit free on each side.
    assert 'x="87" y="65" width="38" height="38" image-rendering="pixelated"' in svg
    assert "<title>&lt;told&gt;</title></image>" in svg
