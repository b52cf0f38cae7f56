"""Runs on GPUs that are not here: what each has is told to the sweep, and who runs out of memory says so."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest

from gapslsim import assembly
from gapslsim.cli.main import main
from gapslsim.errors import ComponentError, MemoryShortError
from gapslsim.learning.forecast import Forecast
from gapslsim.learning.memory_options import Ways
from gapslsim.studies import _execute
from gapslsim.studies import gpus as gpus_module
from gapslsim.studies._execute import Job, Outcome, carry_out
from gapslsim.studies.backend import make_backend
from gapslsim.studies.backends.local import Local
from gapslsim.studies.backends.on_gpus import OnGpus, Started, memory_on, side_by_side
from gapslsim.studies.gpus import Gpu, find_gpus
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep
from tests.study_files import write_study

GB = 1e9
SMI = "0, 81559, 81000\n1, 40960, 40000\n"


def gpu(name: str, free: float) -> Gpu:
    return Gpu(name, free, free)


class Machine:
    """Carries runs out when nothing more can be started, and takes note of who was where beside whom.

    Args:
        takes: what tensors of each run really take.
        sizes: of the GPUs.
    """

    def __init__(self, takes: dict[str, float], sizes: dict[str, float]) -> None:
        self.takes, self.sizes = takes, sizes
        self.here: dict[str, tuple[str, Future[Outcome]]] = {}
        self.placed: list[tuple[str, str]] = []
        self.most: dict[str, int] = dict.fromkeys(sizes, 0)
        self.limits: dict[str, float | None] = {}

    def launch(self, job: Job, name: str) -> Started:
        future: Future[Outcome] = Future()
        self.here[job.label] = name, future
        self.placed.append((job.label, name))
        self.limits[job.label] = job.memory_bytes
        if name:
            self.most[name] = max(self.most[name], sum(where == name for where, _ in self.here.values()))
        return Started(future, lambda: None)

    def end_one(self) -> None:
        """The first ends; out of memory if those on its GPU take more than that has."""
        label, (name, future) = next(iter(self.here.items()))
        beside = sum(self.takes[other] for other, (where, _) in self.here.items() if where == name)
        del self.here[label]
        short = bool(name) and beside > self.sizes[name]
        future.set_result(Outcome(label, None, "CUDA out of memory" if short else "", 0.0, short))


def run(
    takes: dict[str, float],
    forecasts: dict[str, float],
    sizes: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    n_jobs: int = 8,
) -> tuple[Machine, dict[str, Outcome]]:
    from gapslsim.studies.backends import on_gpus

    machine, true_wait = Machine(takes, sizes), on_gpus.wait

    def wait(running, return_when):
        machine.end_one()
        return true_wait(running, return_when=return_when)

    monkeypatch.setattr(on_gpus, "wait", wait)
    backend = OnGpus(
        [gpu(name, size) for name, size in sizes.items()],
        n_jobs,
        machine.launch,
        lambda job, _: forecasts[job.label],
    )
    outcomes = list(backend.run([Job(label, "") for label in forecasts]))
    assert len(outcomes) == len(forecasts)
    return machine, {outcome.label: outcome for outcome in outcomes}


def test_runs_are_packed_by_their_forecasts_and_spread_over_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0.9 x 100 GB hold two of 1.05 x 30 + 0.7 GB, and 0.9 x 40 GB one.
    forecasts = {f"run {i}": 30 * GB for i in range(5)}
    machine, outcomes = run(forecasts, forecasts, {"0": 100 * GB, "1": 40 * GB}, monkeypatch)
    assert machine.most == {"0": 2, "1": 1}
    assert machine.placed[:3] == [("run 0", "0"), ("run 1", "0"), ("run 2", "1")]
    assert not any(outcome.error for outcome in outcomes.values())
    # Each is told what it may take, so that it plans within that and not within what is free as it starts.
    assert machine.limits["run 0"] == pytest.approx(1.05 * 30 * GB)


def test_no_more_runs_are_started_than_jobs_and_one_on_the_cpu_takes_no_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forecasts = {"a": 0.0, "b": GB, "c": GB}
    machine, _ = run(forecasts, forecasts, {"0": 80 * GB}, monkeypatch, n_jobs=2)
    assert dict(machine.placed) == {"a": "", "b": "0", "c": "0"}
    assert machine.limits["a"] is None
    assert [label for label, _ in machine.placed] == ["a", "b", "c"]


def test_runs_that_take_more_than_forecast_are_made_again_with_fewer_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Four are forecast to fit beside one another; really two do.
    forecasts = {f"run {i}": 15 * GB for i in range(4)}
    takes = dict.fromkeys(forecasts, 40 * GB)
    machine, outcomes = run(takes, forecasts, {"0": 80 * GB}, monkeypatch)
    assert machine.most["0"] == 4
    assert not any(outcome.error for outcome in outcomes.values())
    assert len(machine.placed) > 4


def test_a_run_that_runs_out_of_memory_with_a_gpu_for_itself_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, outcomes = run({"a": 90 * GB}, {"a": 20 * GB}, {"0": 80 * GB}, monkeypatch)
    assert outcomes["a"].error == "CUDA out of memory"
    # 21.7, 43.4, then all of it.
    assert len(machine.placed) == 3


def test_a_run_whose_process_dies_is_made_again_until_it_has_a_gpu_for_itself() -> None:
    claims = []

    def launch(job: Job, name: str) -> Started:
        claims.append(job.memory_bytes)
        future: Future[Outcome] = Future()
        future.set_exception(BrokenProcessPool("killed"))
        return Started(future, lambda: None)

    (outcome,) = OnGpus([gpu("0", 80 * GB)], 2, launch, lambda *_: 20 * GB).run([Job("a", "")])
    assert "its process died with 72 GB of GPU 0" in outcome.error
    assert claims == sorted(claims)
    assert len(claims) == 3


def test_a_run_that_fits_no_gpu_is_told_and_the_rest_goes_on() -> None:
    def forecast(job: Job, on: Gpu) -> float:
        if job.label == "large":
            raise MemoryShortError(f"training does not fit: {on}")
        return GB

    def launch(job: Job, name: str) -> Started:
        future: Future[Outcome] = Future()
        future.set_result(Outcome(job.label, None, "", 0.0))
        return Started(future, lambda: None)

    backend = OnGpus([gpu("0", 8 * GB)], 2, launch, forecast)
    outcomes = {o.label: o for o in backend.run([Job("large", ""), Job("small", "")])}
    assert outcomes["large"].error == "training does not fit: GPU 0 (8 GB of 8 GB free)"
    assert not outcomes["small"].error


def test_runs_under_way_are_stopped_when_nobody_wants_their_outcomes() -> None:
    stopped = []

    def launch(job: Job, name: str) -> Started:
        future: Future[Outcome] = Future()
        if job.label == "quick":
            future.set_result(Outcome(job.label, None, "", 0.0))
        return Started(future, lambda: stopped.append(job.label))

    outcomes = OnGpus([gpu("0", 80 * GB)], 4, launch, lambda *_: GB).run([Job("quick", ""), Job("slow", "")])
    assert next(outcomes).label == "quick"
    outcomes.close()
    assert stopped == ["slow"]


def test_gpus_are_those_of_nvidia_smi_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = find_gpus(None, lambda: SMI)
    assert [one.name for one in found] == ["0", "1"]
    assert found[0].total_bytes == 81559 * 2**20
    assert [one.name for one in find_gpus("1", lambda: SMI)] == ["0"]
    assert [one.name for one in find_gpus("1,0", lambda: SMI)] == ["1", "0"]
    assert [one.name for one in find_gpus("1,", lambda: SMI)] == ["1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [one.name for one in find_gpus(None, lambda: SMI)] == ["1"]
    assert find_gpus(None, lambda: "") == []


@pytest.mark.parametrize(
    ("wanted", "smi", "told"),
    [
        ("2", "", "--gpus 2: no NVIDIA GPU answers .* computed on CPUs"),
        ("3", SMI, "found 3, but there are 2: GPU 0"),
        ("0,7", SMI, "there is no GPU 7; there are GPU 0"),
        ("all", SMI, "found 'all'; write a number"),
    ],
)
def test_gpus_that_are_not_there_are_refused_in_words(
    wanted: str, smi: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(ComponentError, match=told):
        find_gpus(wanted, lambda: smi)


def test_a_sweep_shares_the_gpus_that_are_there_and_uses_cpus_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus_module, "_nvidia_smi", lambda: SMI)
    made = make_backend("local", n_jobs=3)
    assert isinstance(made, OnGpus)
    assert [one.name for one in made.gpus] == ["0", "1"]
    monkeypatch.setattr(gpus_module, "_nvidia_smi", str)
    assert isinstance(make_backend("local"), Local)
    with pytest.raises(ComponentError, match="ray places runs itself"):
        make_backend("ray", gpus="1")


def test_a_run_out_of_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    def short(job: Job) -> None:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(_execute, "_simulate", short)
    outcome = carry_out(Job("a", ""))
    assert outcome.out_of_memory
    assert "CUDA out of memory" in outcome.error


def test_a_run_plans_within_what_it_was_given(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gapslsim.run

    seen = []

    def simulate(scenario, **_):
        seen.append(scenario.training)
        raise MemoryShortError("seen")

    monkeypatch.setattr(gapslsim.run, "simulate", simulate)
    (planned, *_) = load_study(write_study(tmp_path)).runs
    carry_out(Job("a", planned.yaml, memory_bytes=5 * GB))
    assert seen[0].memory.limit == 5 * GB
    assert seen[0].device == "cuda"


def test_a_study_is_swept_on_a_gpu_by_its_forecasts(tmp_path) -> None:
    """The runs themselves are carried out here; that they were placed by memory is what the GPU is for."""
    plan = load_study(write_study(tmp_path))
    claims = []

    def launch(job: Job, name: str) -> Started:
        claims.append((name, job.memory_bytes))
        future: Future[Outcome] = Future()
        from dataclasses import replace

        future.set_result(carry_out(replace(job, memory_bytes=None)))
        return Started(future, lambda: None)

    record = sweep(plan, tmp_path / "out", OnGpus([gpu("3", 8 * GB)], 2, launch))
    assert {one.status for one in record.runs} == {"completed"}
    assert {name for name, _ in claims} == {"3"}
    job = Job("a", plan.runs[0].yaml)
    assert claims[0][1] == pytest.approx(1.05 * memory_on(job, gpu("3", 8 * GB)), rel=1e-6)


def test_a_run_that_computes_on_the_cpu_needs_no_gpu(tmp_path) -> None:
    plan = load_study(write_study(tmp_path), set=["training.device=cpu"])
    assert memory_on(Job("a", plan.runs[0].yaml), gpu("0", 8 * GB)) == 0


def test_a_run_without_a_forecast_has_a_gpu_for_itself(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "memory_forecast", lambda *_: Forecast(Ways(), "", {}, 0, "no shapes"))
    plan = load_study(write_study(tmp_path))
    assert memory_on(Job("a", plan.runs[0].yaml), gpu("0", 8 * GB)) == 8 * GB


def test_the_plan_tells_how_many_runs_share_the_gpus(
    tmp_path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus_module, "_nvidia_smi", lambda: SMI)
    with pytest.raises(SystemExit):
        main(["sweep", str(write_study(tmp_path)), "--out", str(tmp_path / "out"), "--dry", "--gpus", "0,"])
    told = capsys.readouterr().out
    # 0.9 x 81000 MiB over 0.7 GB and next to nothing.
    assert "Runs share GPU 0 (84.9 GB of 85.5 GB free): by memory 109 of the largest" in told
    assert side_by_side([gpu("0", 80 * GB)], 30 * GB) == 2
