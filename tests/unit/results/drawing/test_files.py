"""What a page offers for download, and what it tells those who point at a value."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import pandas as pd

from gapslsim.results.drawing.drawing import Bar, Curve, Drawing, Mark, Panel, Row, Scale, Span
from gapslsim.results.drawing.files import csv_of, svg_of
from gapslsim.results.drawing.svg import panel_svg
from gapslsim.results.report._html import figure_html

SVG = "{http://www.w3.org/2000/svg}"
CURVE = pd.DataFrame({"x": [0.0, 2.0], "mean": [10.0, 80.0], "low": [9.0, 79.0], "high": [11.0, 81.5]})
CURVES = Panel("Wi-Fi <b>", Scale("time [s]", 0, 2), Scale("accuracy [%]", 0, 100), [Curve(0, CURVE)])
ROWS = Panel(
    "", Scale("time [s]", 0, 4), Scale(),
    [Span((1.0, 2.0), (1, 1), 0), Mark(2.0, 1, 0, "right"), Bar(0, 0.0, 3.0, "uplink", "uplink: 3 s")],
    [Row("first"), Row("a name that is longer than any place for it")],
)  # fmt: skip


def test_the_csv_has_every_point_mark_and_bar_with_its_names() -> None:
    table = pd.read_csv(
        io.StringIO(csv_of(Drawing("t", [CURVES, ROWS], series=["psl"]))), keep_default_na=False
    )
    assert table["panel"].tolist() == ["Wi-Fi <b>"] * 2 + [""] * 3
    assert table["series"].tolist() == ["psl"] * 4 + ["uplink"]
    assert table["mean"].tolist()[:2] == ["10.0", "80.0"]
    assert table["row"].tolist()[2:] == ["a name that is longer than any place for it"] * 2 + ["first"]
    assert table.loc[3, "about"] == "lower bound"
    assert table[["begin", "end"]].to_numpy().tolist()[2::2] == [["1.0", "2.0"], ["0.0", "3.0"]]


def test_numbers_of_the_figures_own_come_first() -> None:
    own = pd.DataFrame({"time": [1.5]})
    assert csv_of(Drawing("t", [CURVES], series=["psl"], numbers=own)) == "time\n1.5\n"


def test_the_svg_stands_alone_with_heading_names_panels_and_every_fill_and_colour() -> None:
    text = svg_of(Drawing("How & why", [CURVES, ROWS], series=["psl"]))
    root = ET.fromstring(text)
    said = ["".join(found.itertext()) for found in root.iter(f"{SVG}text")]
    for expected in ("How & why", "psl", "uplink", "Wi-Fi <b>", "time [s]", "first"):
        assert expected in said
    fills = set(re.findall(r"url\(#([^)]+)\)", text))
    assert fills <= {found.get("id") for found in root.iter(f"{SVG}pattern")}
    assert set(re.findall(r"var\(--(\w+)", text)) - {"c"} <= set(re.findall(r"--(\w+):", text))
    # Nothing lies upon another: panels are placed one below the other.
    plots = [found for found in root.findall(f"{SVG}svg") if found.get("class") == "plot"]
    first, second = plots
    assert float(first.attrib["y"]) + float(first.attrib["height"]) <= float(second.attrib["y"])


def test_every_value_is_told_to_those_who_point_at_it() -> None:
    def titles(panel: Panel) -> list[str]:
        return re.findall(r"<title>(.*?)</title>", panel_svg(panel, "about", ["psl"]))[1:]

    assert titles(CURVES) == [
        "psl: time [s] 0, accuracy [%] 10 (9 .. 11)", "psl: time [s] 2, accuracy [%] 80 (79 .. 81.5)",
    ]  # fmt: skip
    assert titles(ROWS) == ["a name that is longer than any place for it", "psl: time [s] 2", "uplink: 3 s"]


def test_one_panel_has_the_whole_width_and_is_drawn_for_a_phone_too() -> None:
    one = figure_html(Drawing("t", [CURVES], series=["psl"], name="x"))
    assert re.findall(r'viewBox="0 0 (\d+) \d+"[^>]*class="plot"', one.split("</figure>")[0]) == [
        "380",
        "760",
    ]
    assert 'download="x.csv"' in one
    assert 'download="x.svg"' in one
    assert "single" not in figure_html(Drawing("t", [CURVES, ROWS], series=["psl"], name="x"))
