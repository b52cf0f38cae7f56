from __future__ import annotations

import math
import subprocess
import sys

import pytest

from gapslsim.assembly import memory_forecast
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


@pytest.mark.parametrize(("limit", "rounds"), [("samples: 101", 6), ("server_steps: 5", 5)])
def test_samples_and_server_steps_end_a_run_as_rounds_do(tmp_path, limit, rounds):
    """Four clients with batches of 5: 20 samples and one step of the server in a round."""
    base = "\n".join(line for line in STUDY.splitlines() if "targets" not in line)
    plan = load_study(write_study(tmp_path, f"{base}\nset: {{stop: {{{limit}}}}}\n"))
    assert estimate(plan.runs[0].scenario, 1e9).rounds == rounds


def test_the_plan_tells_the_memory_of_each_run_and_which_do_not_fit(tmp_path):
    scenario = load_study(write_study(tmp_path)).runs[0].scenario
    assert estimate(scenario, 1e9).memory_bytes == memory_forecast(scenario).peak_bytes > 0
    small = load_study(write_study(tmp_path, STUDY + "set: {training.memory.limit: 10 kB}\n"))
    assert "10 kB can be used (training.memory.limit)" in estimate(small.runs[0].scenario, 1e9).problem


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


DEVICES = STUDY.replace(
    "framework: [gapsl, {kind: epsl, phi: 0.5}]", "clients.*.device: [phone-midrange, laptop-cpu]"
)


def told_of(study, out, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["sweep", str(study), "--out", str(out), "--dry"])
    return " ".join(capsys.readouterr().out.split())


def test_a_plan_says_what_trains_and_what_is_timed_again(tmp_path, capsys, monkeypatch):
    study = write_study(tmp_path, DEVICES)
    told = told_of(study, tmp_path / "out", capsys, monkeypatch)
    assert "4 runs; 2 train, 2 are timed again with the same training; roughly" in told
    rows = [
        told.index(f"{device} 2 {train} 4 ") for device, train in (("phone-midrange", 2), ("laptop-cpu", 0))
    ]
    assert rows == sorted(rows)


def test_what_is_finished_does_not_train_again(tmp_path, capsys, monkeypatch):
    one = write_study(tmp_path, DEVICES.replace(", laptop-cpu", ""))
    with pytest.raises(SystemExit):
        main(["sweep", str(one), "--out", str(tmp_path / "out"), "--jobs", "1", "--quiet"])
    capsys.readouterr()
    two = write_study(tmp_path, DEVICES)
    told = told_of(two, tmp_path / "out", capsys, monkeypatch)
    assert "4 runs, 2 of them finished in" in told
    assert "already; 0 train, 2 are timed again" in told


def test_a_longer_run_takes_longer_and_timing_again_less_than_training(tmp_path):
    short, long = (
        estimate(
            load_study(write_study(tmp_path, f"{DEVICES}set: {{stop: {{rounds: {n}}}}}\n")).runs[0].scenario,
            1e9,
        )
        for n in (100, 1000)
    )
    assert short.wall_time_s < long.wall_time_s
    assert short.retimed_s < long.retimed_s < long.wall_time_s


def test_batches_are_counted_whoever_computes_them(tmp_path):
    """One epoch has as many mini-batches in any framework: 120 samples, batches of 5."""
    base = "\n".join(line for line in DEVICES.splitlines() if "targets" not in line)
    walls = [
        estimate(
            load_study(
                write_study(
                    tmp_path,
                    f"{base}\nset: {{framework: {kind}, stop: {{epochs: 50}}, evaluation.every: 50 epochs}}\n",
                )
            )
            .runs[0]
            .scenario,
            1e15,
        ).wall_time_s
        for kind in ("psl", "sl", "fedavg")
    ]
    assert walls == pytest.approx([walls[0]] * 3, rel=0.1)
    assert walls[0] == pytest.approx(50 * 24 * 1e-3 + 0.1, rel=0.1)


def test_the_command_ends_with_1_if_a_run_failed(tmp_path, capsys):
    study = write_study(tmp_path, STUDY.replace("phi: 0.5", "phii: 0.5").replace("[1, 2]", "[1]"))
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(study), "--out", str(tmp_path / "out"), "--jobs", "1"])
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "1 of 2 runs completed" in told.out
    assert "Did you mean 'phi'?" in told.err
    assert "1/1 runs" in told.err


def test_a_plan_that_was_shown_before_is_shown_again_without_torch_and_says_the_same(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("GAPSLSIM_CACHE", str(tmp_path / "cache"))
    file = write_study(tmp_path)
    call = ["sweep", str(file), "--dry", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        main(call)
    first = capsys.readouterr().out
    code = f"""
import sys
from gapslsim.cli.main import main
try:
    main({call!r})
finally:
    sys.exit(7 if "torch" in sys.modules else 0)
"""
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert "4 runs; roughly" in first
    assert again.stdout == first


def test_draws_cost_a_plan_nothing(tmp_path, monkeypatch):
    scenario = (
        load_study(write_study(tmp_path, STUDY + "set: {uncertainty: {draws: 200}}\n")).runs[0].scenario
    )
    seen = []
    monkeypatch.setattr(
        "gapslsim.whole_run.simulate", lambda given, dry: seen.append(given) or simulate(given, dry=dry)
    )
    estimate(scenario, 1e9)
    assert [each.uncertainty for each in seen] == [None]
