from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gapslsim import Results, loads, simulate, whatif
from gapslsim.answers.whatif import split_changes
from gapslsim.cli.main import main
from gapslsim.errors import ResultsError, ScenarioError
from gapslsim.results.store import load_results, write_results
from tests.study_files import BASE

TEXT = BASE.replace("evaluation: {every: 2 rounds}", "evaluation: {every: 2 rounds, targets: [0.3]}")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run with its journal."""
    folder = tmp_path_factory.mktemp("whatif") / "run"
    return write_results(simulate(loads(TEXT), journal=folder / "journal"), folder)


def test_another_link_trains_nothing_anew_and_another_learning_rate_says_from_which_round(run):
    same, other = whatif(
        run, "clients.*.link=wifi", ["training.client.lr=0.05", "server.device=jetson-nano"]
    ).alternatives[1:]
    was = load_results(run).summary
    assert (same.learning, same.diverges) == ("same", None)
    assert same.summary["journal"]["computed"] == 0
    assert same.summary["accuracy"] == was["accuracy"]
    assert same.summary["simulated_time_s"] < was["simulated_time_s"]
    # The first round's losses are those of the first weights; its update is another.
    assert (other.learning, other.diverges) == ("other from round 2", 2)
    full = simulate(loads(load_results(run).scenario_yaml, set=other.changes)).summary
    for entry in ("timeline_sha256", "learning_sha256"):
        assert other.summary[entry] == full[entry]


def test_without_a_journal_accuracies_stay_where_nothing_changed_has_a_part_in_training(run):
    results: Results = load_results(run)
    link, batch = whatif(results, "clients.*.link=wifi", "training.batch_size=6").alternatives[1:]
    assert link.learning == "same"
    through = whatif(run, "clients.*.link=wifi").alternatives[1]
    for entry in ("simulated_time_s", "accuracy", "time_to_accuracy_s", "energy_j"):
        assert link.summary[entry] == through.summary[entry]
    assert link.summary["time_to_accuracy_s"]["0.3"] is not None
    assert batch.learning.startswith("not looked at: it may be other")
    assert (
        batch.summary["simulated_time_s"]
        == simulate(loads(TEXT, set=["training.batch_size=6"]), dry=True).summary["simulated_time_s"]
    )


def test_a_client_that_comes_late_trains_otherwise_from_the_round_that_it_misses(tmp_path):
    text = TEXT.replace("framework: psl", "framework: {kind: psl, lateness: {kind: deadline, after: 1 s}}")
    run = write_results(simulate(loads(text), journal=tmp_path / "run" / "journal"), tmp_path / "run")
    (one,) = whatif(run, "clients.0.link.latency=2 s").alternatives[1:]
    assert one.diverges == 1


def test_the_command_prints_alternatives_side_by_side_as_a_table_json_and_files(
    run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    call = ["whatif", str(run), "--set", "clients.0.link=wifi", "--set", "server.device=jetson-nano", "-q"]
    with pytest.raises(SystemExit) as ended:
        main(
            [*call, "--or", "framework=gapsl; training.client.lr=0.2", "--dry", "-o", str(tmp_path / "a.md")]
        )
    assert not ended.value.code
    told = capsys.readouterr().out
    assert max(len(line) for line in told.splitlines() if str(tmp_path) not in line) <= 80
    assert "| as it was |" in (tmp_path / "a.md").read_text()
    with pytest.raises(SystemExit):
        main([*call, "--json"])
    before, after = json.loads(capsys.readouterr().out)["alternatives"]
    assert (before["changes"], after["learning"]) == ("as it was", "same")
    assert after["changes"] == "clients.0.link=wifi; server.device=jetson-nano"


def test_a_scenario_is_timed_and_with_train_trained(tmp_path):
    (tmp_path / "a.yaml").write_text(TEXT)
    timed = whatif(tmp_path / "a.yaml", "clients.*.link=wifi")
    assert timed.alternatives[1].learning == "not looked at: timing alone"
    trained = whatif(tmp_path / "a.yaml", "clients.*.link=wifi", train=True)
    assert trained.alternatives[1].learning == "same"
    assert trained.table["accuracy global"].notna().all()


def test_changes_are_parted_where_a_path_follows():
    assert split_changes("a.b=1; clients.*.link={uplink: 1 bit/s}") == [
        "a.b=1",
        "clients.*.link={uplink: 1 bit/s}",
    ]
    assert split_changes("name=a; b") == ["name=a; b"]


def test_nothing_to_change_and_a_wrong_change_are_refused(run):
    with pytest.raises(ResultsError, match="say what"):
        whatif(run)
    with pytest.raises(ScenarioError, match="etta: unknown key"):
        whatif(run, "framework.etta=1")
    empty = load_results(run)
    with pytest.raises(ResultsError, match="has no round"):
        whatif(replace(empty, rounds=empty.rounds.iloc[:0]), "seed=2")
