from __future__ import annotations

import pytest

from gapslsim.errors import ScenarioError
from gapslsim.scenario.loading import load
from gapslsim.scenario.shipped import shipped_scenarios, shipped_studies
from gapslsim.studies.plan import load_study
from tests.study_files import STUDY, write_study


def test_every_combination_is_planned_once_with_every_seed(tmp_path):
    plan = load_study(write_study(tmp_path))
    assert [run.record.label for run in plan.runs] == [
        "gapsl-seed1", "gapsl-seed2", "epsl_phi=0.5-seed1", "epsl_phi=0.5-seed2",
    ]  # fmt: skip
    assert [run.record.axes for run in plan.runs[1:3]] == [
        {"framework": "gapsl"},
        {"framework": "epsl phi=0.5"},
    ]
    assert [run.scenario.seed for run in plan.runs] == [1, 2, 1, 2]
    assert plan.record.series == ["framework"]


def test_a_value_replaces_a_whole_component(tmp_path):
    plan = load_study(write_study(tmp_path))
    assert plan.runs[2].scenario.framework.kind == "epsl"
    assert plan.runs[2].scenario.framework.phi == 0.5


def test_a_star_in_a_path_means_every_item(tmp_path):
    text = STUDY + "set: {clients.*.link: wifi, clients.1.count: 5}\n"
    scenario = load_study(write_study(tmp_path, text)).runs[0].scenario
    assert [group.link.latency.mean_s for group in scenario.clients] == [0.002, 0.002]
    assert [group.count for group in scenario.clients] == [2, 5]


def test_targets_and_view_go_into_every_scenario(tmp_path):
    plan = load_study(write_study(tmp_path))
    assert {run.scenario.evaluation.targets for run in plan.runs} == {(0.2, 0.9999)}
    assert plan.record.target_view == "clients"
    assert plan.record.budgets_s == [0.001, 3600.0]


def test_targets_are_the_base_scenarios_unless_given(tmp_path):
    text = "name: x\nbase: base.yaml\nset: {evaluation.targets: [0.5]}\n"
    record = load_study(write_study(tmp_path, text)).record
    assert record.targets == [0.5]
    assert record.target_view == "global"


def test_the_resolved_scenario_and_its_hash_differ_by_seed(tmp_path):
    runs = load_study(write_study(tmp_path)).runs
    assert len({run.record.scenario_sha256 for run in runs}) == 4
    again = load_study(tmp_path / "study.yaml").runs
    assert [run.record.scenario_sha256 for run in again] == [run.record.scenario_sha256 for run in runs]


def test_every_mistake_of_the_study_file_is_told_at_once_with_its_line(tmp_path):
    text = "name: x\nbase: base.yaml\nsedes: [1]\nseeds: [1, 1]\ntargets: {accuracy: [2], time: [5]}\n"
    with pytest.raises(ScenarioError) as caught:
        load_study(write_study(tmp_path, text))
    told = str(caught.value)
    assert "study.yaml:3: sedes: unknown key. Did you mean 'seeds'?" in told
    assert "study.yaml:4: seeds" in told
    assert "study.yaml:5: targets.accuracy.0" in told
    assert "write it with its unit" in told


def test_a_base_that_is_not_there_is_told_at_its_line(tmp_path):
    with pytest.raises(ScenarioError, match=r"study.yaml:2: base: 'no.yaml': there is no such file"):
        load_study(write_study(tmp_path, "name: x\nbase: no.yaml\n"))


def test_one_impossible_value_leaves_the_other_runs(tmp_path):
    text = STUDY.replace("[gapsl,", "\n      - gapsl\n      - {kind: epsl, phii: 1}\n      -").replace(
        "0.5}]", "0.5}"
    )
    plan = load_study(write_study(tmp_path, text))
    assert len(plan.possible) == 4
    assert [run.record.label for run in plan.impossible] == ["epsl_phii=1-seed1", "epsl_phii=1-seed2"]
    assert (
        "study.yaml:9: framework.phii: unknown key. Did you mean 'phi'?" in plan.impossible[0].record.status
    )


def test_a_study_without_any_possible_run_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match=r"study.yaml:9: model.cutt: unknown key. Did you mean 'cut'\?"):
        load_study(write_study(tmp_path, STUDY + "\nset: {model.cutt: 1}\n".lstrip("\n")))


def test_a_path_that_leads_nowhere_is_told_at_its_value(tmp_path):
    with pytest.raises(
        ScenarioError, match=r"study.yaml:9: clients.7.count: clients is a list with indices 0 to 1"
    ):
        load_study(write_study(tmp_path, STUDY + "set: {clients.7.count: 1}\n"))


def test_labels_differ_even_where_names_look_alike_as_files(tmp_path):
    text = STUDY.replace("[gapsl, {kind: epsl, phi: 0.5}]", "{a b: gapsl, a_b: psl, A B: sfl}")
    labels = [run.record.label for run in load_study(write_study(tmp_path, text)).runs]
    assert len({label.lower() for label in labels}) == 6


def test_shipped_studies_are_no_scenarios_and_can_be_planned_by_name():
    assert "studies/quickstart" in shipped_studies()
    assert not shipped_scenarios().keys() & shipped_studies().keys()
    plan = load_study("studies/quickstart")
    assert len(plan.runs) == 36
    assert not plan.impossible


def test_a_resolved_scenario_is_read_back_as_it_was(tmp_path):
    run = load_study(write_study(tmp_path)).runs[0]
    (tmp_path / "resolved.yaml").write_text(run.yaml)
    assert load(tmp_path / "resolved.yaml") == run.scenario
