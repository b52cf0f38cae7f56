from __future__ import annotations

import math

import pytest

from gapslsim.cli.main import main
from gapslsim.run import simulate
from gapslsim.studies.estimate import estimate, machine_rate
from gapslsim.studies.plan import load_study
from tests.study_files import STUDY, write_study


def test_rounds_and_simulated_time_are_those_of_the_run(tmp_path):
    scenario = load_study(write_study(tmp_path)).runs[0].scenario
    found = estimate(scenario, 1e9)
    dry = simulate(scenario, dry=True)
    assert found.rounds == 4
    assert found.simulated_time_s == pytest.approx(dry.summary["simulated_time_s"], rel=0.02)
    assert found.work_flop >= dry.spans["work_flop"].sum()


def test_a_run_that_only_an_accuracy_ends_has_no_estimate(tmp_path):
    text = STUDY.replace("gapsl", "psl") + "set: {stop: {target_accuracy: 0.9}}\n"
    found = estimate(load_study(write_study(tmp_path, text)).runs[0].scenario, 1e9)
    assert found.rounds is None
    assert math.isnan(found.wall_time_s)


def test_a_run_that_cannot_be_is_told(tmp_path):
    plan = load_study(write_study(tmp_path, STUDY + "set: {model.cut: 9}\n"))
    assert "model.cut: cut must be from 1 to 2" in estimate(plan.runs[0].scenario, 1e9).problem


def test_the_machine_does_some_arithmetic():
    assert machine_rate() > 1e6


def test_dry_shows_the_plan_and_runs_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    study = write_study(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(study), "--out", str(tmp_path / "out"), "--dry"])
    assert not ended.value.code
    told = capsys.readouterr().out
    assert "epsl phi=0.5" in told
    assert "4 runs; roughly" in told
    assert "Nothing was run." in told
    assert not (tmp_path / "out").exists()


def test_the_command_ends_with_1_if_a_run_failed(tmp_path, capsys):
    study = write_study(tmp_path, STUDY.replace("phi: 0.5", "phii: 0.5").replace("[1, 2]", "[1]"))
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(study), "--out", str(tmp_path / "out"), "--jobs", "1"])
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "1 of 2 runs completed" in told.out
    assert "Did you mean 'phi'?" in told.err
    assert "1/1 runs" in told.err
