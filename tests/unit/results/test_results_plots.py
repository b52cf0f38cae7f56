from __future__ import annotations

import subprocess
import sys

import pytest

from gapslsim.errors import ResultsError
from gapslsim.results.plots import (
    plot_accuracy,
    plot_comparison,
    plot_round,
    plot_where_time_went,
    save_figure,
)


def test_the_accuracy_plot_has_a_line_per_view_over_time_and_over_rounds(results):
    by_time, by_round = plot_accuracy(results).axes
    assert by_time.get_xlabel() == "simulated time [s]"
    assert by_round.get_xlabel() == "round"
    assert [line.get_label() for line in by_time.lines] == ["global", "clients"]
    assert by_time.lines[1].get_xdata().tolist() == [0.0, 5.0, 10.0]
    assert by_round.lines[0].get_ydata().tolist() == [0.1, 0.6, 0.5]
    assert len(by_time.collections) == 1  # a band for the clients only


def test_a_run_without_evaluations_has_no_accuracy_to_plot(make_results):
    with pytest.raises(ResultsError, match="no evaluation to plot"):
        plot_accuracy(make_results(evaluations=[]))


def test_the_bars_of_where_the_time_went_end_at_the_simulated_time(results, make_results):
    axes = plot_where_time_went([results.summary, make_results(framework="sl").summary]).axes[0]
    ends = [patch.get_x() + patch.get_width() for patch in axes.patches]
    assert max(ends) == pytest.approx(10.0)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["gapsl", "sl"]
    assert axes.get_xlabel() == "simulated time [s], mean of clients"


def test_the_comparison_has_a_panel_per_view_above_the_bars(results, make_results):
    figure = plot_comparison([results, make_results(framework="sl")])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["global", "clients", ""]
    assert [line.get_label() for line in figure.axes[0].lines] == ["gapsl", "sl"]


def test_runs_of_very_unlike_length_share_a_logarithmic_axis(results, make_results):
    near = plot_comparison([results, make_results(simulated_time_s=7 * results.summary["simulated_time_s"])])
    assert near.axes[0].get_xscale() == "linear"
    far = plot_comparison([results, make_results(simulated_time_s=9 * results.summary["simulated_time_s"])])
    assert far.axes[0].get_xscale() == "log"
    assert far.axes[0].get_xlabel() == "simulated time [s], log scale"
    assert all(min(line.get_xdata()) > 0 for line in far.axes[0].lines)


def test_a_comparison_of_dry_runs_is_the_bars_alone(make_results):
    assert len(plot_comparison([make_results(evaluations=[], dry=True)]).axes) == 1
    with pytest.raises(ResultsError, match="no run to plot"):
        plot_comparison([])


def test_the_gantt_chart_has_every_span_of_the_round_on_the_row_of_its_actor(results):
    axes = plot_round(results, 1).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["server", "client-0", "client-1"]
    assert len(axes.patches) == len(results.spans)
    server = [patch for patch in axes.patches if round(patch.get_y() + patch.get_height() / 2) == 0]
    assert [(patch.get_x(), patch.get_width()) for patch in server] == [(4.0, 2.0)]


def test_a_round_that_is_not_there_is_refused(results):
    with pytest.raises(ResultsError, match="round 5 is not in tiny-gapsl-seed7; it has rounds 1 to 1"):
        plot_round(results, 5)


@pytest.mark.parametrize("name", ["a.png", "deep/a.svg"])
def test_figures_are_saved_and_not_empty(results, tmp_path, name):
    path = save_figure(plot_comparison([results]), tmp_path / name)
    assert path.stat().st_size > 5000


def test_an_unknown_picture_format_is_refused_with_those_that_are_known(results, tmp_path):
    with pytest.raises(ResultsError, match=r"\.doc is no picture format; use .*png.*svg"):
        save_figure(plot_round(results), tmp_path / "a.doc")


def test_importing_results_loads_no_heavy_library():
    code = (
        "import sys, gapslsim.results.plots, gapslsim.results.store, gapslsim.results.tables;"
        "print(sorted({'torch', 'matplotlib', 'seaborn', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
