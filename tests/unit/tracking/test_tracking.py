"""Trackers follow runs and never harm them."""

from __future__ import annotations

import sys
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from gapslsim import ComponentError, Mlflow, TensorBoard, Wandb, load_dict, simulate
from gapslsim.registry import component
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep
from gapslsim.studies.tracked import Tracked
from gapslsim.tracking import line
from gapslsim.tracking.following import follow_finished
from gapslsim.tracking.line import Line
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker, tracker_of
from gapslsim.tracking.trackers.mlflow import named
from tests.study_files import InThisProcess, write_study
from tests.worlds import small_scenario

KNOWN: list[tuple[str, Any]] = []


class Notes(RunLog):
    def __init__(self, breaks_at: int | None) -> None:
        self.breaks_at = breaks_at

    def numbers(self, step: int, values: Any) -> None:
        if step == self.breaks_at:
            raise ConnectionError("the server is gone")
        KNOWN.append((f"round {step}", dict(values)))

    def end(self, summary: Any, numbers: Any) -> None:
        KNOWN.append(("end", numbers))


@component
class Notebook(Tracker):
    kind: str = "notebook"
    breaks_at: int | None = None

    def check(self) -> None: ...

    def begin(self, run: TrackedRun) -> RunLog:
        if self.where == "nowhere":
            raise ConnectionError("no such server")
        KNOWN.append(("begin", run))
        return Notes(self.breaks_at)


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    KNOWN.clear()


def scenario() -> Any:
    return load_dict(small_scenario(evaluation={"every": "2 rounds"}, stop={"rounds": 4}))


def test_a_tracker_hears_of_every_round_and_of_accuracies_when_they_are_new() -> None:
    seen = []
    results = simulate(scenario(), track=[Notebook()], observer=lambda progress: seen.append(progress.round))
    assert seen == [1, 2, 3, 4]
    (_, run), *rounds, (last, numbers) = KNOWN
    assert (run.name, run.group, run.settings["stop.rounds"]) == ("small-psl-seed3", "small", 4.0)
    assert [name for name, _ in rounds] == ["round 1", "round 2", "round 3", "round 4"]
    assert [values["loss"] for _, values in rounds] == results.rounds["loss"].tolist()
    assert [values["simulated_time_s"] for _, values in rounds] == results.rounds["end_s"].tolist()
    found = {round: values["accuracy/global"] for round, values in rounds if "accuracy/global" in values}
    told = results.evaluations.query("view == 'global'").set_index("round")["accuracy"]
    assert found["round 4"] == told[4]
    assert "round 3" not in found
    assert last == "end"
    assert numbers["energy_j.total"] == results.summary["energy_j"]["total"]


@pytest.mark.parametrize("broken", [Notebook(where="nowhere"), Notebook(breaks_at=2)])
def test_a_dead_tracker_is_told_of_once_and_changes_nothing(broken: Tracker, capsys: Any) -> None:
    plain = simulate(scenario())
    followed = simulate(scenario(), track=[broken, Notebook()])
    for name in ("timeline_sha256", "learning_sha256", "status"):
        assert followed.summary[name] == plain.summary[name]
    said = capsys.readouterr().err
    assert said.count("notebook does not follow the run any more (small-psl-seed3; ConnectionError: ") == 1
    assert KNOWN[-1][0] == "end"


def test_a_finished_run_is_told_from_its_tables_as_it_would_have_been_live() -> None:
    results = simulate(scenario(), track=[Notebook()])
    live = [entry for entry in KNOWN if entry[0].startswith("round")]
    KNOWN.clear()
    lined = Line(Notebook())
    follow_finished([lined], results, "a-seed1", "study", {"net": "lte"})
    lined.wait()
    (_, run), (first, before), *rounds, _ = KNOWN
    assert (run.name, run.group, run.settings["net"]) == ("a-seed1", "study", "lte")
    assert first == "round 0"
    assert set(before) == {f"accuracy/{view}" for view in ("global", "clients", "ensemble", "local")}
    assert {name: values["loss"] for name, values in rounds} == {
        name: values["loss"] for name, values in live
    }
    assert rounds[3][1] == pytest.approx(live[3][1])


class Fake:
    """A package of which every call is noted."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, Any]] = []
        self.summary = SimpleNamespace(update=lambda found: self.calls.append(("summary", found, {})))

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            self.calls.append((name, args, named))
            return self

        return call

    def named(self, name: str) -> list[tuple[Any, Any]]:
        return [(args, named) for called, args, named in self.calls if called == name]


def test_wandb_gets_a_run_in_the_project_its_rounds_and_its_summary(monkeypatch: Any) -> None:
    wandb = Fake()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    results = simulate(scenario(), track=[Wandb(where="team/edge")])
    ((_, given),) = wandb.named("init")
    assert (given["entity"], given["project"], given["name"]) == ("team", "edge", "small-psl-seed3")
    assert given["config"]["seed"] == 3.0
    assert [named["step"] for _, named in wandb.named("log")] == [1, 2, 3, 4]
    (summary,) = [found for name, found, _ in wandb.calls if name == "summary"]
    assert summary["simulated_time_s"] == results.summary["simulated_time_s"]
    assert wandb.named("finish") == [((), {"exit_code": 0})]


class FakeMlflow(Fake):
    """MLflow's client, which notes what is made of its entities; there is no experiment yet."""

    entities = SimpleNamespace(
        Metric=lambda name, value, when, step: (name, value, step),
        Param=lambda *of: of,
        RunTag=lambda *of: of,
    )
    info = SimpleNamespace(run_id="id")

    def get_experiment_by_name(self, name: str) -> None:
        self.calls.append(("get_experiment_by_name", (name,), {}))


def test_mlflow_gets_parameters_in_small_lots_metrics_by_round_and_tags(monkeypatch: Any) -> None:
    mlflow = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    results = simulate(scenario(), track=[Mlflow(where="sqlite:///x.db")])
    assert mlflow.named("MlflowClient") == [(("sqlite:///x.db",), {})]
    assert mlflow.named("create_experiment") == [(("small", None), {})]
    batches = [args for args, _ in mlflow.named("log_batch")]
    params = [dict(params) for _, _, params, _ in batches if params]
    assert all(len(lot) <= 100 and max(map(len, lot.values())) <= 500 for lot in params)
    assert {name: value for lot in params for name, value in lot.items()}["stop.rounds"] == "4.0"
    losses = [
        (value, step) for _, metrics, _, _ in batches for name, value, step in metrics if name == "loss"
    ]
    assert losses == [(loss, step) for step, loss in enumerate(results.rounds["loss"], 1)]
    tags = {name: value for _, _, _, tags in batches for name, value in tags}
    assert tags["learning_sha256"] == results.summary["learning_sha256"]
    assert mlflow.named("set_terminated") == [(("id", "FINISHED"), {})]


def test_names_are_such_as_mlflow_takes_and_stay_apart() -> None:
    assert named({"size, N=10 (%)": 1, "size; N=10 (%)": 2, "a//../b/": 3, "": 4, "é.x-y": 5}) == {
        "size_ N_10 ___": 1, "size_ N_10 ____2": 2, "a/b": 3, "_": 4, "é.x-y": 5,
    }  # fmt: skip
    assert [len(name) for name in named({"x" * 300: 1, "x" * 301: 2})] == [240, 242]


@pytest.mark.parametrize(("there", "wanted"), [("", "sqlite:///{}/mlflow.db"), ("0/meta.yaml", "file://{}")])
def test_a_folder_for_mlflow_gets_a_database_unless_it_has_files(
    there: str, wanted: str, tmp_path: Any, monkeypatch: Any
) -> None:
    if there:
        (tmp_path / "0").mkdir()
        (tmp_path / there).touch()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    mlflow = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    simulate(scenario(), track=[Mlflow(where=str(tmp_path))])
    assert mlflow.named("MlflowClient") == [((wanted.format(tmp_path),), {})]
    (((_, files), _),) = mlflow.named("create_experiment")
    assert files == (None if there else (tmp_path / "artifacts").as_uri())


def test_a_tracker_that_hangs_holds_nothing_up_and_is_told(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(line, "CALL_S", 0.05)
    hanging = Event()
    monkeypatch.setattr(Notes, "numbers", lambda *_: hanging.wait())
    simulate(scenario(), track=[Notebook()])
    hanging.set()
    assert (
        capsys.readouterr().err.count("notebook is left out from here on (it has not answered for 0 s)") == 1
    )


def test_a_study_tells_what_a_tracker_has_not_heard_and_leaves_a_dead_one_out(
    tmp_path: Any, capsys: Any
) -> None:
    plan, out = load_study(write_study(tmp_path)), tmp_path / "out"

    def swept(*trackers: Tracker) -> str:
        KNOWN.clear()
        tracked = Tracked(trackers, "tiny study", out)
        record = sweep(plan, out, InThisProcess(), resume=True, on_result=tracked)
        tracked.end(record.runs)
        assert all(run.status == "completed" for run in record.runs)
        return str(capsys.readouterr().err)

    dead = swept(Notebook(where="nowhere"))
    assert (
        dead.count("notebook does not follow the run any more (gapsl-seed1; ConnectionError: no such server")
        == 1
    )
    assert dead.count("notebook is left out from here on (ConnectionError: no such server)") == 1
    assert "notebook has heard of 0 of 4 completed runs." in dead
    assert "notebook has heard of 4 of 4 completed runs." in swept(Notebook(where="here"))
    assert [entry[1].name for entry in KNOWN if entry[0] == "begin"] == [
        run.record.label for run in plan.runs
    ]
    assert "notebook has heard of 4 of 4" in swept(Notebook(where="here"))
    assert KNOWN == []
    assert swept() == ""


def test_tensorboards_own_reader_finds_what_was_written(tmp_path: Any) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    results = simulate(scenario(), track=[TensorBoard(where=str(tmp_path))])
    (folder,) = tmp_path.iterdir()
    assert folder.name == "small-psl-seed3"
    found = EventAccumulator(str(folder))
    found.Reload()
    assert [event.step for event in found.Scalars("loss")] == [1, 2, 3, 4]
    assert [event.value for event in found.Scalars("loss")] == pytest.approx(results.rounds["loss"].tolist())


def test_trackers_are_named_on_the_command_line(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "wandb", Fake())
    assert tracker_of("wandb=team/edge") == Wandb(where="team/edge")
    with pytest.raises(ComponentError, match="unknown tracker 'wandbb'"):
        tracker_of("wandbb")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ComponentError, match=r"needs MLflow; install it: pip install 'gapslsim\[mlflow\]'"):
        tracker_of("mlflow=x")
