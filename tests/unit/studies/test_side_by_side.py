"""Workers that die cost their own run alone; clusters that are not there are told before anything is written."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gapslsim.errors import ComponentError
from gapslsim.studies._execute import Job, Outcome, SharedDisk
from gapslsim.studies.backends import dask, ray
from gapslsim.studies.backends.local import Local
from gapslsim.studies.plan import load_study
from gapslsim.studies.side_by_side import DIED, Lost, SideBySide
from gapslsim.studies.sweep import sweep
from tests.study_files import InThisProcess, write_study


class Mortal(SideBySide):
    """The first of those under way ends first; each dies as often as is said. Notes who began beside whom."""

    def __init__(self, deaths: dict[str, int]) -> None:
        super().__init__()
        self.deaths, self.here, self.began, self.notes = (
            deaths,
            list[str](),
            list[tuple[str, ...]](),
            list[str](),
        )
        self.say = self.notes.append

    def room(self) -> int:
        return 2

    def start(self, job: Job) -> str:
        self.here.append(job.label)
        self.began.append(tuple(self.here))
        return job.label

    def ended(self, under_way: Sequence[str]) -> tuple[str, Outcome | Lost]:
        label = self.here.pop(0)
        self.deaths[label] = self.deaths.get(label, 0) - 1
        return label, Lost(DIED) if self.deaths[label] >= 0 else Outcome(label, None, "", 0.0)


def jobs(*labels: str) -> list[Job]:
    return [Job(label, "") for label in labels]


def test_a_dead_worker_costs_its_own_run_alone_and_is_told() -> None:
    backend = Mortal({"a": 1})
    assert [outcome.label for outcome in backend.run(jobs("a", "b", "c", "d"))] == ["b", "c", "d", "a"]
    assert backend.began == [("a",), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    assert backend.notes == [f"a: {DIED}; it is carried out again, from its last checkpoint"]


def test_who_dies_twice_is_tried_alone_and_fails_the_third_time() -> None:
    backend = Mortal({"a": 2, "b": 9})
    found = {outcome.label: outcome.error for outcome in backend.run(jobs("a", "b", "c"))}
    assert (found["a"], found["c"]) == ("", "")
    assert found["b"].startswith(f"{DIED}, three times, the last time alone; run fewer at a time")
    assert backend.began[-2:] == [("a",), ("b",)]
    assert len(backend.notes) == 4


ORPHAN = """
import os, sys, time
from gapslsim.studies._processes import own_process
if __name__ == "__main__":
    pool = own_process({})
    print(pool.submit(os.getpid).result(), flush=True)
    os._exit(9)
"""


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    backend, notes = Local(n_jobs=2), []
    backend.say = notes.append
    # The scenario is none, which its process tells in words; the first process dies when it is about to.
    broken = [Job("a", "name: [", note=""), Job("b", "name: [", note="")]
    victim = backend.start

    def start(job: Job) -> Any:
        future = victim(job)
        if not notes and job.label == "a" and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            backend._busy[future].submit(os._exit, 9)
        return future

    backend.start = start  # type: ignore[method-assign]
    outcomes = list(backend.run(broken))
    assert sorted(outcome.label for outcome in outcomes) == ["a", "b"]
    assert not backend._busy
    assert not backend._idle


def test_processes_end_with_a_killed_sweep(tmp_path: Path) -> None:
    (tmp_path / "orphan.py").write_text(ORPHAN)
    told = subprocess.run(
        [sys.executable, str(tmp_path / "orphan.py")], capture_output=True, text=True, check=False
    )
    child = int(told.stdout)
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        subprocess.run(["sleep", "0.1"], check=True)
    pytest.fail("it is still there")


def test_a_machine_without_the_journal_is_told_and_trains_without_one(tmp_path: Path) -> None:
    class Elsewhere(InThisProcess):
        """Where the journal's folder is another one."""

        def without(self, disk: SharedDisk) -> list[str]:
            (Path(disk.journal) / "journal.json").write_text("{}")
            return [SharedDisk.blind(disk)]

    notes: list[str] = []
    plan = load_study(write_study(tmp_path))
    record = sweep(plan, tmp_path / "out", Elsewhere(), observer=lambda told: notes.append(told.note))
    assert all(run.status == "completed" for run in record.runs)
    (note,) = filter(None, notes)
    assert note.startswith(
        f"{socket.gethostname()} does not see {tmp_path / 'out' / 'journal'}: each of its runs trains"
    )
    assert not list((tmp_path / "out" / "journal").glob("training-*"))


def test_a_dask_scheduler_that_is_not_there_leaves_nothing_behind(tmp_path: Path, monkeypatch: Any) -> None:
    def client(**given: Any) -> None:
        raise OSError(f"Timed out after {given['timeout']:.0f} s")

    monkeypatch.setattr(dask, "optional", lambda *_: SimpleNamespace(Client=client))
    with pytest.raises(
        ComponentError, match=r"no Dask scheduler answers at 'tcp://x:1': Timed out after 20 s; check"
    ):
        sweep(load_study(write_study(tmp_path)), tmp_path / "out", dask.Dask("tcp://x:1"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit('ConnectionError: no such cluster')", "no such cluster"),
        ("import time; time.sleep(9)", "heard"),
    ],
)
def test_a_ray_cluster_that_does_not_answer_is_told_in_time(
    script: str, said: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ray, "optional", lambda *_: SimpleNamespace())
    monkeypatch.setattr(ray, "_TRY", script)
    monkeypatch.setattr(ray, "CONNECT_S", 1.0)
    plan = load_study(write_study(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(
            ComponentError, match=f"no Ray cluster answers at '{address}': .*{said}.*; check --address"
        ):
            sweep(plan, tmp_path / "out", ray.Ray(address))
    # Where nothing listens nobody is asked.
    with pytest.raises(ComponentError, match="Connection refused"):
        sweep(plan, tmp_path / "out", ray.Ray(address))
    assert not (tmp_path / "out").exists()
