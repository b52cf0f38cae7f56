from __future__ import annotations

import pandas as pd
import pytest

from gapslsim.results.draw import draw
from gapslsim.results.drawing import Drawing, Line, Panel, TextTable


@pytest.mark.parametrize("style", ["rows", "points"])
def test_bars_are_drawn_where_all_seeds_agree_but_for_rounding(style):
    mean = 0.1
    points = pd.DataFrame(
        {"x": [0.0], "mean": [mean], "low": [mean + 1e-16], "high": [mean - 1e-16], "reached": [True]}
    )
    panel = Panel("one", style, "accuracy", "share", [Line(0, points)], rows=["sum"])
    drawing = Drawing("title", "Does it draw?", ["A sentence."], TextTable([], []), points, [panel], [""])
    figure = draw(drawing)
    assert figure.axes[0].get_title() == "one"
