from __future__ import annotations

from gapslsim.results.store import load_summary
from gapslsim.run import simulate
from gapslsim.studies._order import training_and_timing
from gapslsim.studies.backend import make_backend
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep
from tests.study_files import write_study

STUDY = """\
name: order
base: base.yaml
seeds: [1, 2]
axes:
  variants:
    network:
      LTE: {clients.*.link: lte}
      WiFi: {clients.*.link: wifi, network: {kind: star, backhaul: 1 Gbit/s}}
      other devices: {clients.*.device: jetson-tx2, server.device: jetson-agx-orin}
"""


def labels(wave):
    return [run.record.label for run in wave]


def test_of_the_runs_of_one_training_the_first_goes_ahead(tmp_path):
    runs = load_study(write_study(tmp_path, STUDY)).possible
    assert [labels(wave) for wave in training_and_timing(runs)] == [
        ["LTE-seed1", "LTE-seed2"],
        ["WiFi-seed1", "WiFi-seed2", "other_devices-seed1", "other_devices-seed2"],
    ]


def test_runs_of_different_trainings_go_together(tmp_path):
    study = STUDY.replace("clients.*.link: lte", "training.batch_size: 4").replace(
        "clients.*.link: wifi, network: {kind: star, backhaul: 1 Gbit/s}", "clients.0.count: 3"
    )
    runs = load_study(write_study(tmp_path, study)).possible
    assert [labels(wave) for wave in training_and_timing(runs)] == [labels(runs), []]


def test_cuts_and_batch_sizes_of_groups_are_trainings_of_their_own(tmp_path):
    study = STUDY.replace("clients.*.link: lte", "clients.*.cut: 2").replace(
        "clients.*.link: wifi, network: {kind: star, backhaul: 1 Gbit/s}", "clients.*.training.batch_size: 3"
    )
    runs = load_study(write_study(tmp_path, study)).possible
    assert [labels(wave) for wave in training_and_timing(runs)] == [labels(runs), []]


def test_how_clients_are_grouped_is_of_no_account_to_training(tmp_path):
    study = STUDY.replace("clients.*.link: wifi", "clients: [{count: 4, device: jetson-nano, link: wifi}]")
    runs = load_study(write_study(tmp_path, study)).possible
    assert [len(wave) for wave in training_and_timing(runs)] == [2, 4]
    journal = tmp_path / "journal"
    for run in runs:
        seen = simulate(run.scenario, journal=journal).summary["journal"]
        assert bool(seen["computed"]) == (run in runs[:2])


def test_what_a_finished_run_has_trained_is_not_waited_for(tmp_path):
    runs = load_study(write_study(tmp_path, STUDY)).possible
    assert training_and_timing(runs[2:], done=runs[:2]) == ([], runs[2:])
    assert training_and_timing([], done=runs) == ([], [])


def test_on_two_processes_no_training_is_computed_twice(tmp_path):
    plan = load_study(write_study(tmp_path, STUDY))
    record = sweep(plan, tmp_path / "out", make_backend("local", "", 2))
    assert {run.status for run in record.runs} == {"completed"}
    computed = {
        run.label: load_summary(tmp_path / "out" / "runs" / run.label)["journal"]["computed"]
        for run in record.runs
    }
    assert {label for label, n in computed.items() if n} == {"LTE-seed1", "LTE-seed2"}
