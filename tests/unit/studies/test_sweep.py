from __future__ import annotations

import hashlib
import importlib.util

import pandas as pd
import pytest

from gapslsim.cli.main import main
from gapslsim.errors import ComponentError, ResultsError, ScenarioError
from gapslsim.results.frames import GEOMETRY
from gapslsim.results.store import load_summary
from gapslsim.results.study import is_study, read_study
from gapslsim.studies._execute import Job, carry_out
from gapslsim.studies._tables import TABLES
from gapslsim.studies.backend import Backend, make_backend
from gapslsim.studies.backends.local import Local
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import lies_in, sweep
from tests.study_files import BASE, STUDY, write_study


class Counting(Backend):
    """In this process; notes what it ran and may be interrupted after some runs."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.ran = []
        self._stop_after = stop_after

    def run(self, jobs):
        for job in jobs:
            if len(self.ran) == self._stop_after:
                raise KeyboardInterrupt
            self.ran.append(job.label)
            yield carry_out(job)


def digest(folder):
    """Of all tables but the wall times."""
    files = [folder / f"{name}.parquet" for name in TABLES if name != "costs"]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The tiny study, run once."""
    folder = tmp_path_factory.mktemp("done")
    record = sweep(load_study(write_study(folder)), folder / "out", Counting())
    return folder / "out", record


def test_a_study_leaves_run_directories_and_one_set_of_tables(done):
    out, record = done
    assert [run.status for run in record.runs] == ["completed"] * 4
    assert is_study(out)
    assert read_study(out) == record
    assert load_summary(out / "runs" / "gapsl-seed1")["framework"] == "gapsl"
    assert sorted(path.stem for path in out.glob("*.parquet")) == sorted(TABLES)
    assert not (out / ".notes").exists()


def test_tables_have_the_axes_as_columns(done):
    out, _ = done
    for name in TABLES:
        table = pd.read_parquet(out / f"{name}.parquet")
        assert list(table.columns[:3]) == ["run", "framework", "seed"]
        # EPSL looks at no angles; nothing is drawn and nobody attacks unless that is asked for.
        expected = 2 if name in {"alignment", *GEOMETRY} else 0 if name in {"uncertainty", "leakage"} else 4
        assert table["run"].nunique() == expected
    runs = pd.read_parquet(out / "runs.parquet")
    assert set(runs["framework_kind"]) == {"gapsl", "epsl"}
    went = pd.read_parquet(out / "where_time_went.parquet")
    per_run = went[went["device"] == "jetson-nano"].groupby("run")["seconds"].sum()
    assert per_run.to_dict() == pytest.approx(runs.set_index("run")["simulated_time_s"].to_dict())


def test_targets_are_censored_and_budgets_take_the_last_evaluation_within(done):
    out, _ = done
    targets = pd.read_parquet(out / "targets.parquet")
    never = targets[targets["target"] == 0.9999]
    assert never["time_s"].isna().all()
    assert (never["ended_s"] > 0).all()
    budgets = pd.read_parquet(out / "budgets.parquet")
    first = pd.read_parquet(out / "evaluations.parquet").query("round == 0 and view == 'clients'")
    start = first.groupby("run")["accuracy"].mean().to_dict()
    early = budgets[budgets["budget_s"] == 0.001].set_index("run")["accuracy"].to_dict()
    assert early == pytest.approx(start)
    assert budgets[budgets["budget_s"] == 3600]["accuracy"].isna().all()


def test_finished_runs_are_not_run_again(done, tmp_path):
    out, record = done
    again = Counting()
    assert sweep(load_study(out.parent / "study.yaml"), out, again, resume=True) == record
    assert again.ran == []


def test_an_interrupted_and_resumed_study_gives_the_same_tables(done, tmp_path):
    plan = load_study(write_study(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        sweep(plan, tmp_path / "out", Counting(stop_after=2))
    assert [run.status for run in read_study(tmp_path / "out").runs] == ["completed"] * 2 + ["planned"] * 2
    rest = Counting()
    sweep(plan, tmp_path / "out", rest, resume=True)
    assert rest.ran == ["epsl_phi=0.5-seed1", "epsl_phi=0.5-seed2"]
    assert digest(tmp_path / "out") == digest(done[0])


def test_after_a_change_only_what_changed_is_run_again(done, tmp_path):
    plan = load_study(write_study(tmp_path))
    sweep(plan, tmp_path / "out", Counting())
    changed = load_study(
        write_study(tmp_path, STUDY.replace("phi: 0.5", "phi: 0.25").replace("[1, 2]", "[1, 3]"))
    )
    rest = Counting()
    sweep(changed, tmp_path / "out", rest, resume=True)
    assert rest.ran == ["gapsl-seed3", "epsl_phi=0.25-seed1", "epsl_phi=0.25-seed3"]
    assert set(pd.read_parquet(tmp_path / "out" / "runs.parquet")["seed"]) == {1, 3}


def test_a_study_is_not_overwritten_unless_resumed(done, tmp_path):
    out, _ = done
    with pytest.raises(ResultsError, match="go on with it by --resume, run it anew by --force"):
        sweep(load_study(out.parent / "study.yaml"), out, Counting())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(ResultsError, match="holds no study"):
        sweep(load_study(out.parent / "study.yaml"), tmp_path / "full", Counting(), resume=True)


def test_runs_of_other_scenarios_are_kept_unless_forced_and_notes_beside_them_always(tmp_path):
    sweep(load_study(write_study(tmp_path)), tmp_path / "out", Counting())
    kept = tmp_path / "out" / "runs" / "gapsl-seed1"
    (kept / "notes.txt").write_text("mine")
    before = (kept / "scenario.yaml").read_bytes()
    changed = load_study(tmp_path / "study.yaml", set=["training.batch_size=6"])
    nothing = Counting()
    with pytest.raises(
        ResultsError, match=r"runs of other scenarios .*\(gapsl-seed1, gapsl-seed2, .* and 1 more"
    ):
        sweep(changed, tmp_path / "out", nothing, resume=True)
    assert nothing.ran == []
    assert (kept / "scenario.yaml").read_bytes() == before
    anew = Counting()
    sweep(changed, tmp_path / "out", anew, resume=True, force=True)
    assert len(anew.ran) == 4
    assert b"batch_size: 6" in (kept / "scenario.yaml").read_bytes()
    assert (kept / "notes.txt").read_text() == "mine"
    assert lies_in(changed, tmp_path / "out")


@pytest.mark.parametrize("wrong", ["framework.eta=0.1", "seed=3", "nothing", "training.batchsize=3"])
def test_a_change_that_the_study_would_undo_or_that_is_none_is_refused(tmp_path, wrong):
    with pytest.raises(ScenarioError, match=wrong.partition("=")[0]):
        load_study(write_study(tmp_path), set=[wrong])


def test_the_command_finds_a_study_that_is_done_and_puts_a_changed_one_elsewhere(
    tmp_path, monkeypatch, capsys
):
    file = write_study(tmp_path, STUDY.replace("[1, 2]", "[1]"))
    monkeypatch.chdir(tmp_path)

    def call(*more):
        with pytest.raises(SystemExit) as ended:
            main(["sweep", str(file), "-q", "--jobs", "1", *more])
        return ended.value.code or 0, capsys.readouterr().out.strip()

    first = call()
    assert (first, call()) == ((0, "studies/tiny_study"), (0, "studies/tiny_study"))
    assert call("--set", "training.batch_size=6") == (0, "studies/tiny_study-batch_size=6")
    (tmp_path / "base.yaml").write_text(BASE.replace("lr: 0.1", "lr: 0.2"))
    assert call()[1].startswith("studies/tiny_study-")
    assert len(list((tmp_path / "studies").iterdir())) == 3


def test_impossible_and_failing_runs_are_told_and_the_rest_completes(tmp_path):
    text = STUDY.replace("seeds: [1, 2]", "seeds: [1]").replace(
        "  grid:", "  grid:\n    model.cut: [1, 7, 0]"
    )
    told = []
    record = sweep(
        load_study(write_study(tmp_path, text)), tmp_path / "out", Counting(), observer=told.append
    )
    status = {run.label: run.status for run in record.runs}
    assert status["1-gapsl-seed1"] == status["1-epsl_phi=0.5-seed1"] == "completed"
    assert status["7-gapsl-seed1"].startswith("failed: model.cut: cut must be from 1 to 2")
    assert status["0-gapsl-seed1"].startswith("impossible: ")
    assert "model.cut: found 0" in status["0-gapsl-seed1"]
    ended = [news for news in told if news.ended]
    assert [news.n_done for news in ended] == [1, 2, 3, 4]
    assert ended[-1].n_failed == 2
    assert ended[-1].share == 1
    table = pd.read_parquet(tmp_path / "out" / "runs.parquet").set_index("run")["status"]
    assert table.to_dict() == status


def test_a_run_that_fails_leaves_no_earlier_results(tmp_path):
    plan = load_study(write_study(tmp_path))
    sweep(plan, tmp_path / "out", Counting())
    broken = load_study(write_study(tmp_path, STUDY + "set: {model.cut: 5}\n"))
    record = sweep(broken, tmp_path / "out", Counting(), resume=True, force=True)
    assert all(run.status.startswith("failed: model.cut") for run in record.runs)
    assert list(pd.read_parquet(tmp_path / "out" / "evaluations.parquet").columns) == ["run"]


def test_a_diverging_run_is_kept_up_to_then_and_reported(tmp_path):
    base = BASE.replace("lr: 0.1", "lr: 1.0e+18")
    record = sweep(load_study(write_study(tmp_path, base=base)), tmp_path / "out", Counting())
    assert all(run.status.startswith("failed: ") for run in record.runs)
    assert load_summary(tmp_path / "out" / "runs" / "gapsl-seed1")["status"].startswith("failed")


def test_an_error_of_the_program_is_told_with_its_place(monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError("nothing left")

    monkeypatch.setattr("gapslsim.run.simulate", broken)
    outcome = carry_out(Job("one", BASE))
    assert outcome.results is None
    assert outcome.error.startswith("ZeroDivisionError: nothing left (in test_sweep.py:")


def test_ctrl_c_within_a_run_is_no_result(monkeypatch, make_results):
    monkeypatch.setattr("gapslsim.run.simulate", lambda *args, **options: make_results(status="interrupted"))
    with pytest.raises(KeyboardInterrupt):
        carry_out(Job("one", BASE))


def test_studies_that_share_a_journal_and_differ_in_the_network_alone_train_once(tmp_path):
    plan = load_study(write_study(tmp_path))
    sweep(plan, tmp_path / "lte", Counting(), journal=tmp_path / "journal")
    wifi = load_study(write_study(tmp_path, STUDY + "set: {clients.*.link: wifi}\n"))
    sweep(wifi, tmp_path / "wifi", Counting(), journal=tmp_path / "journal")
    assert not (tmp_path / "lte" / "journal").exists()
    for run in plan.runs:
        first, second = (load_summary(tmp_path / net / "runs" / run.record.label) for net in ("lte", "wifi"))
        assert first["journal"]["computed"] > 0
        assert second["journal"]["computed"] == 0
        assert second["learning_sha256"] == first["learning_sha256"]
        assert second["timeline_sha256"] != first["timeline_sha256"]


def test_the_sweep_command_shares_a_journal_and_draws_the_figure_that_the_study_asks_for(tmp_path, capsys):
    study = str(write_study(tmp_path, STUDY + "figure: {kind: curves, x: rounds}\n"))
    for out in ("one", "two"):
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    "sweep",
                    study,
                    "--out",
                    str(tmp_path / out),
                    "--journal",
                    str(tmp_path / "journal"),
                    "--jobs",
                    "1",
                ]
            )
        assert not ended.value.code
        assert f"Its figure: {tmp_path / out / 'figure.png'}" in capsys.readouterr().out
        assert len(pd.read_csv(tmp_path / out / "figure.csv")) == 2 * 3
    assert load_summary(tmp_path / "two" / "runs" / "gapsl-seed1")["journal"]["computed"] == 0


def test_a_figure_that_cannot_be_drawn_does_not_spoil_the_sweep(tmp_path, capsys):
    text = STUDY.replace("[gapsl, ", "[psl, ") + "figure: {kind: geometry, y: [score_rad]}\n"
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(write_study(tmp_path, text)), "--out", str(tmp_path / "out"), "--jobs", "1"])
    assert not ended.value.code
    assert "The figure could not be drawn: " in capsys.readouterr().err


def test_backends_are_made_by_name_or_refused_in_words():
    assert isinstance(make_backend("local"), Local)
    with pytest.raises(ComponentError, match="Did you mean 'dask'"):
        make_backend("dusk")
    with pytest.raises(ComponentError, match="takes no address"):
        make_backend("local", "tcp://somewhere")


@pytest.mark.parametrize("name", ["ray", "dask"])
def test_a_backend_whose_package_is_missing_says_how_to_install_it(name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, {"ray": "ray", "dask": "distributed"}[name], None)
    with pytest.raises(ComponentError, match=rf"pip install 'gapslsim\[{name}\]'"):
        make_backend(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "ray", "dask"])
@pytest.mark.filterwarnings("ignore")
def test_every_backend_gives_the_same_tables(name, done, tmp_path):
    package = {"local": "joblib", "ray": "ray", "dask": "distributed"}[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (pip install 'gapslsim[{name}]')")
    plan = load_study(write_study(tmp_path))
    record = sweep(plan, tmp_path / "out", make_backend(name, n_jobs=2))
    assert [run.status for run in record.runs] == ["completed"] * 4
    assert digest(tmp_path / "out") == digest(done[0])


def test_runs_side_by_side_use_one_worker_each_unless_the_scenario_says_otherwise(monkeypatch):
    seen = []

    def record(scenario, **options):
        seen.append(scenario.training.workers)
        raise ZeroDivisionError

    monkeypatch.setattr("gapslsim.run.simulate", record)
    three = BASE.replace("batch_size: 5", "batch_size: 5, workers: 3")
    for job in (Job("a", BASE), Job("b", BASE, shares_cpus=False), Job("c", three)):
        carry_out(job)
    assert seen == [1, "auto", 3]
    assert Local(n_jobs=4).shares_cpus(2)
    assert not Local(n_jobs=4).shares_cpus(1)
