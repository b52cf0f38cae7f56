"""Metrics and classes in reports: what is drawn is what the tables hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gapslsim import Results, load_dict, simulate
from gapslsim.results.drawing.drawing import Bar, Curve, Mark
from gapslsim.results.report._classes import class_figure
from gapslsim.results.report._metrics import metric_figure
from gapslsim.results.report.data import RunSet, gather
from gapslsim.results.report.page import page
from gapslsim.results.store import write_results
from tests.worlds import small_scenario


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, RunSet]:
    evaluation = {"every": "2 rounds", "metrics": ["f1"], "per_class": True}
    results = simulate(load_dict(small_scenario(evaluation=evaluation, stop={"rounds": 6})))
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_results(results, folder)
    return results, gather([folder])


def test_every_view_has_a_line_of_every_metric_and_of_the_loss(judged: tuple[Results, RunSet]) -> None:
    results, runs = judged
    figure = metric_figure(runs)
    assert figure is not None
    drawings = {"global": figure} | {drawing.title.split()[0]: drawing for drawing in figure.more}
    assert set(drawings) == {"global", "clients", "ensemble", "local"}
    for view, drawing in drawings.items():
        assert [panel.title for panel in drawing.panels] == ["loss", "f1"]
        own = results.evaluations[results.evaluations["view"] == view]
        for panel, name in zip(drawing.panels, ("loss", "f1"), strict=True):
            (line,) = panel.parts
            assert isinstance(line, Curve)
            expected = own.groupby("time_s")[name].mean()
            np.testing.assert_allclose(line.points["x"], expected.index)
            np.testing.assert_allclose(line.points["mean"], expected)


def test_marks_are_the_accuracies_of_classes_and_cells_the_shares_of_what_is_said(
    judged: tuple[Results, RunSet],
) -> None:
    results, runs = judged
    figure = class_figure(runs)
    assert figure is not None
    of_class, matrix = figure.panels
    last = results.per_class.query("round == 6 and view == 'global'")
    drawn = {of_class.rows[int(m.y)].name: m.x for m in of_class.parts if isinstance(m, Mark)}
    assert drawn == pytest.approx({str(r.label): 100 * r.accuracy for r in last.itertuples()})
    said = results.confusion.query("round == 6 and view == 'global'")
    cells = {(b.row, b.begin): b.shade for b in matrix.parts if isinstance(b, Bar) and b.shade > 0}
    n_samples = dict(zip(last["label"], last["n_samples"], strict=True))
    assert cells == pytest.approx(
        {(r.label, r.predicted): r.n_samples / n_samples[r.label] for r in said.itertuples()}
    )


def test_pages_have_the_sections_where_a_run_recorded_them_alone(
    judged: tuple[Results, RunSet], tmp_path: Path
) -> None:
    write_results(simulate(load_dict(small_scenario(stop={"rounds": 2}))), tmp_path / "plain")
    for runs, n in ((judged[1], 1), (gather([tmp_path / "plain"]), 0)):
        html = page(runs)
        assert html.count('id="metrics"') == n
        assert html.count('id="classes"') == n
