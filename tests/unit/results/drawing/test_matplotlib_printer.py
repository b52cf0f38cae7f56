from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gapslsim.results.drawing.drawing import (
    Bar,
    Curve,
    Drawing,
    Mark,
    Panel,
    Picture,
    Row,
    Scale,
    Span,
    points_of,
)
from gapslsim.results.drawing.matplotlib_printer import draw

MEAN = 0.1
POINTS = pd.DataFrame(
    {"x": [0.0], "mean": [MEAN], "low": [MEAN + 1e-16], "high": [MEAN - 1e-16], "reached": [True]}
)


def drawn(panel):
    return (
        draw(Drawing("title", [panel], ["A sentence."], "Does it draw?", series=["a", "b"]))
        .subfigs[0]
        .axes[0]
    )


@pytest.mark.parametrize("in_rows", [True, False])
def test_spreads_are_drawn_where_all_seeds_agree_but_for_rounding(in_rows):
    panel = Panel(
        "one", Scale(), Scale(), points_of(POINTS, 0, in_rows=in_rows), [Row("sum")] if in_rows else []
    )
    assert drawn(panel).get_title() == "one"


def test_ends_ticks_and_names_are_those_of_the_drawing():
    axes = drawn(
        Panel("", Scale("time [s]", 1, 100, log=True), Scale("", 0, 1), [Mark(5, 1, 0)], [Row("p"), Row("q")])
    )
    assert axes.get_xlabel() == "time [s], log scale"
    assert axes.get_xlim() == (1, 100)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3", "10", "30", "100"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["p", "q"]
    assert axes.get_ylim() == (1.5, -0.5)


def test_bars_lie_in_their_rows_and_an_outline_has_no_fill():
    bars = [Bar(1, 2, 5, "uplink"), Bar(0, 0, 1, 1, shade=0.5, text="7"), Bar(1, 2, 3, None)]
    axes = drawn(Panel("", Scale("", 0, 5), Scale(), bars, [Row("p"), Row("q", "note", strong=True)]))
    found = [
        (patch.get_x(), patch.get_width(), patch.get_y() + patch.get_height() / 2) for patch in axes.patches
    ]
    assert found == [(2, 3, pytest.approx(1)), (0, 1, pytest.approx(0)), (2, 1, pytest.approx(1))]
    assert axes.patches[1].get_facecolor()[3] == 0.5
    assert axes.patches[2].get_facecolor()[3] == 0.0
    assert {"7", "note"} <= {text.get_text() for text in axes.texts}
    assert len(axes.get_legend().get_texts()) == 6


def test_a_line_of_reference_is_no_series():
    line = Curve(None, pd.DataFrame({"x": [1, 2], "mean": [1, 2], "low": [0, 1], "high": [2, 3]}))
    panel = Panel("", Scale("", 0, 3), Scale("", 0, 3), [line, Mark(1, 1, 1), Span((0, 1), (1, 1))])
    drawing = Drawing("", [panel], series=["a", "b"])
    assert (drawing.shown, drawing.has_lines) == ([1], False)
    figure = draw(drawing)
    assert len(figure.subfigs[0].axes[0].collections) == 1
    assert [text.get_text() for text in figure.subfigs[0].legends[0].get_texts()] == ["b"]


def test_long_names_of_series_lie_within_the_picture():
    names = [f"training.client.lr 0.000{n}, training.server.lr 0.000{n}" for n in range(9)]
    figure = draw(
        Drawing(
            "", [Panel("", Scale("", 0, 3), Scale("", 0, 3), [Mark(1, 1, n) for n in range(9)])], series=names
        )
    )
    figure.canvas.draw()
    (box,) = [legend.get_window_extent() for sub in figure.subfigs for legend in sub.legends]
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_a_picture_lies_in_its_cell_upright_with_its_shape():
    image = np.array([[0, 255]], np.uint8)
    axes = drawn(
        Panel("", Scale("", 0, 3), Scale(), [Picture(1, 2, image)], [Row("a"), Row("b")], 40, ["p", "q", "r"])
    )
    (shown,) = axes.get_images()
    assert shown.get_array().tolist() == [[0, 255]]
    assert shown.get_extent() == pytest.approx((2.03, 2.97, 1.235, 0.765))
    assert axes.get_xlim() == (0, 3)
    assert axes.get_ylim() == (1.5, -0.5)
