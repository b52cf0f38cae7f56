from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from gapslsim import load, simulate
from gapslsim.cli.main import main
from gapslsim.errors import ScenarioError
from gapslsim.learning.journal.journal import Journal
from gapslsim.results.measure import over_seeds
from gapslsim.results.measures.accuracy import Accuracy
from gapslsim.results.measures.to_target import ToTarget
from gapslsim.results.measures.total import Total
from gapslsim.results.report.data import gather
from gapslsim.results.store import load_summary
from gapslsim.results.study import RunRecord, read_study
from gapslsim.results.study_tables import StudyRun, read_tables
from gapslsim.scenario.limits import Every, Stop
from gapslsim.studies._execute import carry_out
from gapslsim.studies.adaptive import shortest
from gapslsim.studies.backend import Backend
from gapslsim.studies.plan import load_study
from gapslsim.studies.scheduler import Setting, Step, schedulers
from gapslsim.studies.schedulers.race import Race
from gapslsim.studies.schedulers.successive_halving import SuccessiveHalving
from gapslsim.studies.schedulers.target import Target
from gapslsim.studies.sweep import lies_in, sweep
from tests.study_files import BASE, write_study
from tests.unit.studies.test_sweep import digest

HALVED = """\
name: halved
base: base.yaml
seeds: [1, 2]
axes:
  grid:
    training.client.lr: [0.001, 0.1, 0.5, 3.0]
adaptive: {kind: successive_halving, min: 4 rounds, eta: 2}
targets: {accuracy: [0.4], view: global}
figure: {kind: table, rows: lr, cells: [accuracy, total, {kind: to_target, target: 0.4}]}
"""
LONGER = BASE.replace("rounds: 4", "rounds: 12").replace("2 rounds}", "2 rounds, views: [global]}")


def command(*words):
    """A command that ends well."""
    with pytest.raises(SystemExit) as end:
        main([*words])
    assert not end.value.code


class Noting(Backend):
    """In this process; notes label and length of what it ran, and may be interrupted."""

    def __init__(self, stop_after=None, order=iter):
        super().__init__()
        self.ran = []
        self.order = order
        self.stop_after = stop_after

    def run(self, jobs):
        for job in self.order(jobs):
            if len(self.ran) == self.stop_after:
                raise KeyboardInterrupt
            self.ran.append((job.label, job.until))
            yield carry_out(job)


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    """A study of four rates, halved twice, with what was put into its journal."""
    folder = tmp_path_factory.mktemp("halved")
    put = []
    with pytest.MonkeyPatch.context() as patch:
        real = Journal.put
        patch.setattr(Journal, "put", lambda self, key, *rest: (put.append(key), real(self, key, *rest))[1])
        backend = Noting()
        record = sweep(load_study(write_study(folder, HALVED, LONGER)), folder / "out", backend)
    return folder, record, backend.ran, put


def test_half_of_the_settings_go_twice_as_far(halved):
    _, _, ran, _ = halved
    labels = {
        until: sorted(label for label, of in ran if of == until) for until in ("4 rounds", "8 rounds", "")
    }
    assert len(labels["4 rounds"]) == 8
    assert len(labels["8 rounds"]) == 4
    assert len(labels[""]) == 2
    assert len({label.rpartition("-seed")[0] for label in labels["8 rounds"]}) == 2, "seeds are paired"


def test_who_goes_on_is_who_was_best_by_the_mean_over_seeds(halved):
    folder, record, ran, _ = halved
    found = {}
    for lr in record.axes["lr"]:
        runs = [
            simulate(
                load(
                    folder / "base.yaml", set=[f"training.client.lr={lr}", f"seed={seed}", "stop={rounds: 4}"]
                )
            )
            for seed in (1, 2)
        ]
        found[lr] = sum(run.summary["accuracy"]["global"]["last"] for run in runs) / 2
    best = sorted(found, key=found.get)[-2:]
    assert {label.rpartition("-seed")[0] for label, until in ran if until == "8 rounds"} == set(best)


def test_no_operation_is_trained_twice_and_what_goes_on_ends_as_if_it_had_never_stopped(halved):
    folder, record, _, put = halved
    assert len(put) == len(set(put))
    completed = [run for run in record.runs if run.status == "completed"]
    assert len(completed) == 2
    for run in completed:
        summary = load_summary(folder / "out" / "runs" / run.label)
        assert summary["journal"]["replayed"] > 0
        assert summary["journal"]["rebuilt"] == 0, "not even to have the states"
        whole = simulate(load(folder / "out" / "runs" / run.label / "scenario.yaml"))
        for name in ("learning_sha256", "timeline_sha256"):
            assert summary[name] == whole.summary[name]


def test_each_stopped_run_says_when_and_why(halved):
    folder, record, _, _ = halved
    stopped = [run for run in record.runs if run.is_stopped]
    assert len(stopped) == 6
    assert {run.status.split(";")[0] for run in stopped} == {
        "stopped: after 4 rounds",
        "stopped: after 8 rounds",
    }
    assert all("by accuracy" in run.status and "went on" in run.status for run in stopped)
    assert "place 2 of 2" in next(run.status for run in stopped if "8 rounds" in run.status)
    assert read_study(folder / "out") == record
    rows = pd.read_parquet(folder / "out" / "runs.parquet").set_index("run")
    assert rows["status"].to_dict() == {run.label: run.status for run in record.runs}
    assert set(rows.loc[[run.label for run in stopped], "rounds"]) == {4, 8}


def test_stopped_runs_are_in_no_mean_and_bounds_say_so(halved):
    folder, record, _, _ = halved
    tables = read_tables(folder / "out")
    for cell in tables.cells(["lr"]):
        early = cell.runs[0].record.is_stopped
        last, whole = (over_seeds(measure, cell.runs, "global") for measure in (Accuracy(), Total()))
        assert (last.spread.n, last.words(100)) == (0, "stopped") if early else last.spread.n == 2
        assert whole.words(1).startswith("≥") == early
    runs = gather([folder / "out"])
    assert len(runs.runs) == 2
    assert sorted(label for label, _ in runs.stopped) == sorted(r.label for r in record.runs if r.is_stopped)
    assert not runs.missing


def test_the_figure_and_the_page_tell_of_stopped_runs(halved, capsys):
    out = halved[0] / "out"
    command("figure", str(out), "-o", str(out / "f.png"))
    assert "6 runs were stopped early by the study" in " ".join(capsys.readouterr().out.split())
    command("compare", str(out))
    assert "6 runs of settings that were stopped early are not among them" in " ".join(
        capsys.readouterr().out.split()
    )
    command("report", str(out), "-o", str(out / "r.html"))
    page = (out / "r.html").read_text()
    assert "Stopped early" in page
    assert "6 of 8 runs were stopped" in page


def test_cut_off_and_resumed_with_runs_that_end_in_another_order_it_gives_the_same_tables(halved, tmp_path):
    folder, record, ran, _ = halved
    plan = load_study(write_study(tmp_path, HALVED, LONGER))
    journal = folder / "out" / "journal"
    first, rest = Noting(9, order=reversed), Noting(order=reversed)
    with pytest.raises(KeyboardInterrupt):
        sweep(plan, tmp_path / "out", first, journal=journal)
    assert not lies_in(plan, tmp_path / "out")
    assert sweep(plan, tmp_path / "out", rest, resume=True, journal=journal).runs == record.runs
    assert sorted(first.ran + rest.ran) == sorted(ran), "nothing is run again"
    assert digest(tmp_path / "out") == digest(folder / "out")
    assert lies_in(plan, tmp_path / "out")


def test_runs_that_are_complete_already_stay_so(halved, tmp_path):
    two = HALVED.replace("[0.001, 0.1, 0.5, 3.0]", "[0.1, 0.5]").replace("[1, 2]", "[1]")
    journal = halved[0] / "out" / "journal"
    plan = load_study(write_study(tmp_path, two.replace("adaptive", "#"), LONGER))
    sweep(plan, tmp_path / "out", Noting(), journal=journal)
    none = Noting()
    record = sweep(load_study(write_study(tmp_path, two, LONGER)), tmp_path / "out", none, resume=True)
    assert none.ran == []
    assert {run.status for run in record.runs} == {"completed"}


def test_by_force_all_is_run_anew(halved, tmp_path):
    shutil.copytree(halved[0] / "out", tmp_path / "out")
    backend = Noting(1)
    with pytest.raises(KeyboardInterrupt):
        sweep(load_study(halved[0] / "study.yaml"), tmp_path / "out", backend, force=True)
    assert backend.ran == halved[2][:1]
    assert [run.status for run in read_study(tmp_path / "out").runs] == ["planned"] * 8


@pytest.mark.parametrize("framework", ["gapsl", "async_sl", "fedavg"])
@pytest.mark.parametrize("until", ["5 rounds", "0.7 epochs"])
def test_a_run_that_is_stopped_is_the_beginning_of_the_whole_run(tmp_path, framework, until):
    (tmp_path / "base.yaml").write_text(BASE)
    scenario = load(tmp_path / "base.yaml", set=[f"framework={framework}", "stop={rounds: 10}"])
    early, whole = (simulate(scenario, journal=tmp_path / "j", until=each) for each in (until, None))
    assert early.summary["status"] == f"stopped: after {until}"
    n = len(early.rounds)
    assert 0 < n < 10
    assert early.rounds.equals(whole.rounds.iloc[:n])
    begun = whole.evaluations[whole.evaluations["round"] <= n].reset_index(drop=True)
    assert early.evaluations.equals(begun)
    assert whole.summary["learning_sha256"] == simulate(scenario).summary["learning_sha256"]


def setting(name, *accuracies, n_failed=0, n_seeds=None, stop=None, round_s=1.0):
    """Of runs that are evaluated after each round."""
    runs = []
    for seed, curve in enumerate(accuracies, 1):
        rounds = list(range(1, len(curve) + 1))
        evaluations = pd.DataFrame(
            {
                "round": rounds,
                "time_s": [round_s * r for r in rounds],
                "view": "global",
                "client": -1,
                "accuracy": curve,
            }
        )
        table = pd.DataFrame({"round": rounds, "end_s": [round_s * r for r in rounds]})
        runs.append(
            StudyRun(RunRecord(f"{name}-{seed}", {"a": name}, seed, "x"), evaluations, table, table.iloc[:0])
        )
    return Setting({"a": name}, tuple(runs), n_failed, n_seeds or len(runs), stop or Stop(rounds=100))


def test_equal_settings_go_on_together_and_failed_ones_come_last():
    four = [setting("a", [0.5]), setting("b", [0.5]), setting("c", [0.4]), setting("d", [0.9], n_failed=1)]
    scheduler = SuccessiveHalving(min=Every(1, "epochs"), eta=4)
    assert scheduler.verdicts(four, Step(), "global") == {
        2: "place 3 of 4 by accuracy (40.0 %); the best 2 went on",
        3: "place 4 of 4 by accuracy (90.0 %); the best 2 went on",
    }
    assert [str(scheduler.step(n, 9).until) for n in range(3)] == ["1 epoch", "4 epochs", "16 epochs"]
    assert scheduler.step(5, 1).is_last


def test_rounds_of_a_rung_are_whole():
    scheduler = SuccessiveHalving(min=Every(3, "rounds"), eta=1.5)
    assert [str(scheduler.step(n, 9).until) for n in range(3)] == ["3 rounds", "5 rounds", "7 rounds"]


def test_less_time_to_a_target_is_better_and_who_is_there_goes_first():
    by = {"kind": "to_target", "target": 0.5}
    scheduler = SuccessiveHalving(min=Every(1, "epochs"), eta=3, by=ToTarget(target=0.5))
    assert by["kind"] == scheduler.by.kind
    three = [setting("slow", [0.1, 0.5]), setting("never", [0.4, 0.4]), setting("fast", [0.5, 0.5])]
    assert set(scheduler.verdicts(three, Step(), "global")) == {0, 1}


def test_who_has_spent_more_than_the_first_needed_cannot_be_first():
    target = Target(target=0.5, every=Every(1, "rounds"))
    fast = setting("fast", [0.2, 0.6, 0.6], [0.2, 0.3, 0.6])  # 2 and 3 s
    slow = setting("slow", [0.1, 0.1, 0.1], [0.1, 0.1, 0.1])  # 3 s so far, in both seeds
    assert target.verdicts([slow, fast], Step(), "global") == {
        0: "cannot be first at 50 %: simulated time is 3 s already, and fast needed 2.5 s"
    }
    # A mean of 2.5 s is possible still: one seed is there, between 1 and 2 s.
    near = setting("near", [0.2, 0.6, 0.6], [0.1, 0.1, 0.1])
    assert target.verdicts([near, fast], Step(), "global") == {}
    one_seed_is_not_there = setting("fast", [0.6], [0.2])
    assert target.verdicts([slow, one_seed_is_not_there], Step(), "global") == {}
    assert target.verdicts([slow, setting("fast", [0.6], n_failed=1)], Step(), "global") == {}


def test_what_would_have_to_gain_more_than_is_stated_cannot_reach_the_target():
    target = Target(target=0.5, every=Every(2, "rounds"), most_gain=0.1)
    low = setting("low", [0.1, 0.25], stop=Stop(rounds=6))  # two looks are left: 0.45 at most
    enough = setting("enough", [0.1, 0.31], stop=Stop(rounds=6))
    found = target.verdicts([low, enough], Step(Every(2, "rounds")), "global")
    assert found == {0: "cannot reach 50 %: 25 % so far, and 10 % at most in each of 2 looks that are left"}


def test_a_race_shares_its_level_among_the_looks():
    better = setting("better", [0.90], [0.905], [0.91], n_seeds=5)
    worse = setting("worse", [0.10], [0.104], [0.109], n_seeds=5)
    equal = setting("equal", [0.905], [0.90], [0.912], n_seeds=5)
    found = Race().verdicts([worse, better, equal], Step(n_seeds=3), "global")
    assert set(found) == {0}
    # Differences 0.8, 0.801, 0.801: p is far below 0.05 / 3 after Holm for three pairs.
    assert "at most 0.0167 at each of 3 looks" in found[0]
    # Two seeds, differences 0.1 and 0.11: t = 21 with one degree of freedom, p = 0.030, below 5 % but not 1.67 %.
    near = [setting("up", [0.5], [0.51], n_seeds=5), setting("down", [0.4], [0.4], n_seeds=5)]
    assert Race().verdicts(near, Step(n_seeds=2), "global") == {}
    assert set(
        Race().verdicts(
            [
                setting("up", [0.5], [0.51], n_seeds=3),
                near[1].__class__(near[1].axes, near[1].runs, 0, 3, near[1].stop),
            ],
            Step(n_seeds=2),
            "global",
        )
    ) == {1}


def test_seeds_of_a_setting_that_lost_its_race_are_spared(halved, tmp_path, monkeypatch):
    text = HALVED.replace("seeds: [1, 2]", "seeds: [1, 2, 3, 4]").replace(
        "[0.001, 0.1, 0.5, 3.0]", "[0.001, 0.5]"
    )
    text = text.replace("adaptive: {kind: successive_halving, min: 4 rounds, eta: 2}", "adaptive: race")
    monkeypatch.setattr(
        Race, "verdicts", lambda self, settings, step, view: {0: "worse"} if len(settings) > 1 else {}
    )
    backend = Noting()
    plan = load_study(write_study(tmp_path, text, LONGER))
    record = sweep(plan, tmp_path / "out", backend, journal=halved[0] / "out" / "journal")
    statuses = {run.label: run.status for run in record.runs}
    assert statuses["0.001-seed3"] == statuses["0.001-seed4"] == "spared: not begun; worse"
    assert list(statuses.values()).count("completed") == 6
    assert len(backend.ran) == 6
    runs = gather([tmp_path / "out"])
    assert len(runs.runs) == 6
    assert len(runs.stopped) == 2


def test_what_is_run_at_least_is_told(tmp_path):
    plan = load_study(write_study(tmp_path, HALVED, LONGER))
    scheduler = plan.study.adaptive
    assert [(str(step.until), n) for step, n in shortest(plan, scheduler)] == [
        ("4 rounds", 8),
        ("8 rounds", 4),
        ("None", 2),
    ]
    assert [n for _, n in shortest(plan, Target(target=0.5, every=Every(2, "rounds")))] == [8, 2, 2]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{kind: halving, min: 4 rounds}", "unknown scheduler 'halving'"),
        ("{kind: successive_halving}", "adaptive.min"),
        ("{kind: successive_halving, min: 4 steps}", "count it in rounds, epochs or simulated time"),
        ("{kind: successive_halving, min: 4 rounds, eta: 1}", "adaptive.eta"),
        (
            "{kind: successive_halving, min: 4 rounds, within: lrr}",
            "unknown axis 'lrr'; known: lr. Did you mean 'lr'?",
        ),
        ("{kind: successive_halving, min: 4 rounds, by: accurracy}", "unknown measure 'accurracy'"),
        ("{kind: target, target: 0.5, every: 2 epochs, most_gain: 0.1}", "give 'stop.epochs'"),
        ("{kind: race, first: 2}", "the study has 2 seeds"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path, written, said):
    text = HALVED.replace("{kind: successive_halving, min: 4 rounds, eta: 2}", written)
    with pytest.raises(ScenarioError) as error:
        load_study(write_study(tmp_path, text, LONGER))
    assert said in str(error.value)
    assert "study.yaml:7: adaptive" in str(error.value)


def test_every_scheduler_is_told_in_the_docs():
    told = (Path(__file__).resolve().parents[3] / "docs" / "howto" / "adaptive.md").read_text()
    for kind in schedulers:
        for name in {kind, *schedulers[kind].__pydantic_fields__} - {"kind"}:
            assert f"`{name}" in told, name
