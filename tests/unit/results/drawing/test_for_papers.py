"""Pictures and tables for papers, checked by parsing the files."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pandas as pd
import pytest

from gapslsim.errors import ResultsError
from gapslsim.results.compare import Comparison
from gapslsim.results.drawing.drawing import Bar, Curve, Drawing, Panel, Row, Scale
from gapslsim.results.drawing.matplotlib_printer import Print, draw, save
from gapslsim.results.drawing.palette import CATEGORY_LIGHT, SERIES_LIGHT
from gapslsim.results.latex import booktabs
from gapslsim.results.report._style import STYLE

POINTS = pd.DataFrame({"x": [0.0, 1.0], "mean": [0.1, 0.9]})
DRAWING = Drawing(
    "A title", [Panel(f"panel {n}", Scale("time [s]"), Scale("accuracy"), [Curve(0, POINTS)]) for n in (1, 2)],
    ["A caption."], "Why?", series=["gapsl"],
)  # fmt: skip


def test_a_pdf_has_whole_fonts_of_the_family_and_the_width_that_were_asked_for(tmp_path: Any) -> None:
    pdf = save(DRAWING, tmp_path / "a.pdf", Print(3.5, "DejaVu Serif", title=False)).read_bytes()
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf
    assert set(re.findall(rb"/BaseFont /(?:[A-Z]{6}\+)?([\w-]+)", pdf)) == {b"DejaVuSerif"}
    (box,) = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+) [\d.]+ ?\]", pdf)
    assert float(box) == pytest.approx(3.5 * 72)


def test_an_svg_has_text_as_text_and_without_a_title_neither_heading_nor_caption(tmp_path: Any) -> None:
    def texts(how: Print) -> str:
        root = ET.parse(save(DRAWING, tmp_path / "a.svg", how)).getroot()
        return " ".join("".join(found.itertext()) for found in root.iter("{http://www.w3.org/2000/svg}text"))

    whole, bare = texts(Print()), texts(Print(title=False))
    for text in ("panel 1", "time [s]", "accuracy", "gapsl"):
        assert text in whole
        assert text in bare
    assert "A title: Why?" in whole
    assert "A caption." in whole
    assert not re.search("title|Why|caption", bare)


def test_a_narrow_picture_has_its_panels_below_one_another_and_dots_as_asked(tmp_path: Any) -> None:
    from PIL import Image

    with Image.open(save(DRAWING, tmp_path / "a.png", Print(3.5, dpi=200))) as picture:
        assert picture.width == 700
    first, second = draw(DRAWING, Print(3.5)).subfigs[0].axes
    assert first.get_position().y0 > second.get_position().y1


def test_an_unknown_font_is_refused_with_what_to_do(tmp_path: Any) -> None:
    with pytest.raises(ResultsError, match=r"'DejaVu Serf' is not installed. Did you mean 'DejaVu Serif'\?"):
        save(DRAWING, tmp_path / "a.pdf", Print(font="DejaVu Serf"))


def test_pages_and_pictures_have_the_same_colours() -> None:
    assert f"--s0: {SERIES_LIGHT[0]};" in STYLE
    assert f"--uplink: {CATEGORY_LIGHT['uplink']};" in STYLE
    panel = Panel("", Scale(), Scale(), [Bar(0, 0, 1, "uplink"), Bar(1, 0, 1, 2)], [Row("a"), Row("b")])
    bars = draw(Drawing("", [panel])).subfigs[0].axes[0].patches
    found = ["#{:02x}{:02x}{:02x}".format(*(round(255 * c) for c in bar.get_facecolor()[:3])) for bar in bars]
    assert found == [CATEGORY_LIGHT["uplink"], SERIES_LIGHT[2]]


def test_a_latex_table_is_escaped_and_has_the_rules_of_booktabs() -> None:
    table = booktabs(["run", "100 %"], [["a_b & {c} \\ $5 #1 ~^", "1.0 % ± 0.1 %\n0 .. 2"], ["x", "≥ 3"]])
    assert table.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"run & 100~\% \\",
        r"\midrule",
        r"a\_b \& \{c\} \textbackslash{} \$5 \#1 \textasciitilde{}\textasciicircum{} & 1.0~\% $\pm$ 0.1~\% (0 .. 2) \\",
        r"x & $\geq$ 3 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_a_comparison_of_few_runs_by_many_figures_has_a_column_per_run() -> None:
    wide = Comparison(("run", "a", "b", "c"), (("x", "1", "2", "3"), ("y", "4", "5", "6")))
    assert r"a & 1 & 4 \\" in wide.latex()
    tall = Comparison(("run", "a"), (("x", "1"), ("y", "4")))
    assert r"x & 1 \\" in tall.latex()
