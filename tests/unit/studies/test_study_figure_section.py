"""The section `figure` of a study file is checked with the rest of it."""

from __future__ import annotations

import json

import pytest

from gapslsim.errors import ScenarioError
from gapslsim.results.study import read_study
from gapslsim.results.study import write_study as write_record
from gapslsim.results.study_figure import figure_of
from gapslsim.scenario.shipped import shipped_scenarios, shipped_studies
from gapslsim.studies.plan import load_study
from tests.study_files import STUDY, write_study

TWO_AXES = STUDY.replace("grid:", "grid:\n    training.batch_size: [5, 10]")


def mistakes(folder, figure):
    with pytest.raises(ScenarioError) as caught:
        load_study(write_study(folder, f"{TWO_AXES}figure: {figure}\n"))
    return str(caught.value)


def test_an_unknown_axis_is_told_at_its_line_with_the_near_miss(tmp_path):
    told = mistakes(tmp_path, "{kind: curves, panel: bach_size}")
    assert "study.yaml:10: figure.panel: there is no axis 'bach_size'" in told
    assert "axes of this study: batch_size, framework" in told
    assert "Did you mean 'batch_size'?" in told


def test_an_axis_in_two_places_is_refused(tmp_path):
    told = mistakes(tmp_path, "{kind: points, x: framework, y: accuracy, panel: [batch_size, framework]}")
    assert "figure.panel: the axis 'framework' is in 'x' already" in told


def test_a_view_that_no_run_evaluates_is_refused_with_the_fix(tmp_path):
    text = "set: {evaluation: {every: 2 rounds, views: [clients]}}\nfigure: {kind: curves, view: local}\n"
    with pytest.raises(
        ScenarioError, match=r"figure.view: the runs do not evaluate the view 'local'.*clients"
    ):
        load_study(write_study(tmp_path, STUDY + text))


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (
            "curve",
            "unknown figure 'curve'; known: board, curves, geometry, points, table. Did you mean 'curves'?",
        ),
        ("points", "'x' is missing"),
        ("{kind: points, x: framework, y: acuracy}", "Did you mean 'accuracy'?"),
        ("{kind: points, x: framework, y: to_target}", "target"),
        ("{kind: points, x: framework, y: {kind: to_target, target: 40}}", "found 40"),
        ("{kind: geometry, y: [score]}", "figure.y"),
        ("{kind: curves, x: minutes}", "found 'minutes'"),
        ("{kind: table, rows: framework, cells: []}", "figure.cells"),
    ],
)
def test_settings_of_a_figure_are_checked_in_words(tmp_path, figure, told):
    assert told in mistakes(tmp_path, figure)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("data.partition.alpha: [0.9, 0, 0.1]", "scale: 0 of 'alpha' has no place on a logarithmic axis"),
        ("data.partition.alpha: {much: 0.9, little: 0.1}", "scale: the values along 'x' are names"),
    ],
)
def test_a_logarithmic_axis_of_what_has_no_logarithm_is_refused(tmp_path, lines, told):
    text = f"name: x\nbase: base.yaml\nset: {{data.partition: dirichlet}}\naxes: {{grid: {{{lines}}}}}\n"
    with pytest.raises(ScenarioError) as caught:
        load_study(
            write_study(tmp_path, text + "figure: {kind: points, x: alpha, y: accuracy, scale: log}\n")
        )
    assert f"study.yaml:5: figure.scale: {told.removeprefix('scale: ')}" in str(caught.value)


def test_the_figure_is_kept_with_the_record_and_read_back_as_it_was(tmp_path):
    text = (
        TWO_AXES
        + "figure: {kind: table, rows: framework, cells: [accuracy, {kind: to_target, target: 0.4}]}\n"
    )
    plan = load_study(write_study(tmp_path, text))
    write_record(plan.record, tmp_path)
    assert figure_of(read_study(tmp_path)) == plan.study.figure
    assert plan.study.figure.cells[1].target == 0.4


def test_a_record_from_before_figures_is_read(tmp_path):
    plan = load_study(write_study(tmp_path))
    write_record(plan.record, tmp_path)
    file = tmp_path / "study.json"
    found = json.loads(file.read_text())
    del found["figure"]
    file.write_text(json.dumps(found))
    assert figure_of(read_study(tmp_path)) is None


def test_a_figure_changes_no_scenario(tmp_path):
    bare = load_study(write_study(tmp_path))
    drawn = load_study(write_study(tmp_path, STUDY + "figure: curves\n"))
    assert [run.record for run in drawn.runs] == [run.record for run in bare.runs]


def test_studies_in_any_folder_of_that_name_are_studies_and_no_scenarios():
    studies = shipped_studies()
    assert {"studies/quickstart", "paper/studies/table1", "paper/studies/small/fig21"} <= studies.keys()
    assert not [name for name in shipped_scenarios() if "studies" in name]
