"""What `gapslsim compare --plot` draws."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gapslsim.errors import ResultsError
from gapslsim.records import EvaluationRow
from gapslsim.results.drawing.drawing import Bar
from gapslsim.results.drawing.matplotlib_printer import draw, save
from gapslsim.results.figures.comparison import comparison


def test_the_bars_of_where_the_time_went_end_at_the_simulated_time(results, make_results):
    panel = comparison([results, make_results(framework="sl")]).panels[-1]
    bars = [part for part in panel.parts if isinstance(part, Bar)]
    assert [max(bar.end for bar in bars if bar.row == row) for row in (0, 1)] == pytest.approx([10.0, 10.0])
    assert [bar.begin for bar in bars[1:6]] == [bar.end for bar in bars[:5]]
    assert [row.name for row in panel.rows] == ["gapsl", "sl"]
    assert panel.x.label == "simulated time [s], mean of clients"


def test_the_comparison_has_a_panel_per_view_above_the_bars(results, make_results):
    drawing = comparison([results, make_results(framework="sl")])
    assert [panel.title for panel in drawing.panels] == ["global", "clients", ""]
    assert drawing.series == ["gapsl", "sl"]
    assert [curve.series for curve in drawing.panels[0].parts] == [0, 1]
    assert drawing.panels[1].parts[0].points["x"].tolist() == [0.0, 5.0, 10.0]
    assert drawing.panels[0].parts[0].points["mean"].tolist() == pytest.approx([10.0, 60.0, 50.0])
    assert [axes.get_title() for axes in draw(drawing).subfigs[0].axes] == ["global", "clients", ""]


def test_runs_of_very_unlike_length_share_a_logarithmic_axis(results, make_results):
    def along(factor):
        rows = [EvaluationRow(r, factor * 5.0 * r, "global", -1, 0.1 * r, 1.0) for r in (0, 1, 2)]
        return comparison([results, make_results(evaluations=rows)]).panels[0]

    assert along(7).x.text == "simulated time [s]"
    far = along(9)
    assert far.x.text == "simulated time [s], log scale"
    assert all(curve.points["x"].min() > 0 for curve in far.parts)


def test_a_comparison_of_dry_runs_is_the_bars_alone(make_results):
    assert len(comparison([make_results(evaluations=[], dry=True)]).panels) == 1
    with pytest.raises(ResultsError, match="no run to plot"):
        comparison([])


@pytest.mark.parametrize("name", ["a.png", "deep/a.svg"])
def test_figures_are_saved_and_not_empty(results, tmp_path, name):
    path = save(comparison([results]), tmp_path / name)
    assert path.stat().st_size > 5000


def test_an_unknown_picture_format_is_refused_with_those_that_are_known(results, tmp_path):
    with pytest.raises(ResultsError, match=r"\.doc is no picture format; use .*png.*svg"):
        save(comparison([results]), tmp_path / "a.doc")


def test_importing_results_loads_no_heavy_library():
    code = (
        "import sys, gapslsim.results.figures.comparison, gapslsim.results.store, gapslsim.results.tables;"
        "import gapslsim.results.drawing.matplotlib_printer, gapslsim.results.report.page;"
        "print(sorted({'torch', 'matplotlib', 'seaborn', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
