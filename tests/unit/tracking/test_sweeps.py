"""Trackers hear of a study's runs as they go on, and of those that schedulers stop."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from gapslsim.records import Progress
from gapslsim.registry import component
from gapslsim.studies import _live
from gapslsim.studies._live import Hearing, saying
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep
from gapslsim.studies.tracked import Tracked
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker
from tests.study_files import BASE, InThisProcess, write_study

HALVED = """\
name: halved
base: base.yaml
seeds: [1]
axes:
  grid:
    training.client.lr: [0.001, 0.1]
adaptive: {kind: successive_halving, min: 4 rounds, eta: 2}
targets: {accuracy: [0.4], view: global}
"""
LONGER = BASE.replace("rounds: 4", "rounds: 8").replace("2 rounds}", "2 rounds, views: [global]}")


TOLD: dict[str, list[str]] = {}
"""What was told of each run, in order."""


class Entries(RunLog):
    def __init__(self, told: list[str], breaks_at: int | None) -> None:
        self.told, self.breaks_at = told, breaks_at

    def numbers(self, step: int, values: Any) -> None:
        if step == self.breaks_at:
            raise ConnectionError("the server is gone")
        self.told.append(f"round {step}")

    def end(self, summary: Any, numbers: Any) -> None:
        self.told.append(f"end: {str(summary.get('status', 'nothing')).partition(' ')[0]}")


@component
class Diary(Tracker):
    kind: str = "diary"
    breaks_at: int | None = None

    def check(self) -> None: ...

    def begin(self, run: TrackedRun) -> RunLog:
        return Entries(TOLD.setdefault(f"{self.where}{run.name}", []), self.breaks_at)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: Any) -> None:
    """Each round is written as it ends."""
    TOLD.clear()
    monkeypatch.setattr(_live, "_EVERY_S", 0.0)


def progress(number: int) -> Progress:
    return Progress(number, 4, 0.5 * number, 0.1 * number, {"global": 0.25}, 1.0, number / 4, 0.75)


def rounds(n: int) -> list[str]:
    return [f"round {number}" for number in range(1, n + 1)]


def test_what_a_run_says_is_heard_once_line_by_line(tmp_path: Path) -> None:
    heard: list[tuple[str, Progress]] = []
    hearing, say = Hearing(tmp_path, lambda *one: heard.append(one)), saying(str(tmp_path / "a"))
    hearing.look("a")
    say(progress(1))
    hearing.look("a")
    hearing.look("a")
    assert heard == [("a", progress(1))]
    say(progress(2))
    with (tmp_path / "a.rounds").open("a") as file:
        file.write("[3, ")  # Half of a line is not read.
    hearing.ended("a")
    assert [one.round for _, one in heard] == [1, 2]
    assert not list(tmp_path.iterdir())
    saying(str(tmp_path / "a"))(progress(1))  # It is carried out again.
    hearing.look("a")
    assert [one.round for _, one in heard] == [1, 2, 1]


def test_a_place_that_cannot_be_written_and_damaged_lines_harm_nothing(tmp_path: Path) -> None:
    say = saying(str(tmp_path / "none" / "a"))
    say(progress(1))
    say(progress(2))
    (tmp_path / "a.rounds").write_text("not JSON\n")
    Hearing(tmp_path, lambda *_: pytest.fail("nothing was said")).ended("a")


def test_rounds_are_told_while_a_run_goes_on(tmp_path: Path) -> None:
    plan, out = load_study(write_study(tmp_path)), tmp_path / "out"
    tracked, told_before_end = Tracked([Diary()], "tiny study", out), list[int]()

    def on_result(record: Any, results: Any) -> None:
        for line in tracked._lines:
            line.wait()
        told_before_end.append(len(TOLD[record.label]))
        tracked(record, results)

    record = sweep(plan, out, InThisProcess(), on_result=on_result, on_round=tracked.under_way)
    tracked.end(record.runs)
    assert told_before_end == [4] * 4
    assert list(TOLD.values()) == [[*rounds(4), "end: completed"]] * 4


def test_runs_that_a_scheduler_stops_are_told_and_rounds_that_are_carried_out_again_are_not(
    tmp_path: Path, capsys: Any
) -> None:
    plan, out = load_study(write_study(tmp_path, HALVED, LONGER)), tmp_path / "out"
    tracked = Tracked([Diary()], "halved", out)
    record = sweep(plan, out, InThisProcess(), on_result=tracked, on_round=tracked.under_way)
    tracked.end(record.runs)
    statuses = {run.label: run.status for run in record.runs}
    assert sorted(status.partition(" ")[0] for status in statuses.values()) == ["completed", "stopped:"]
    assert {
        label: [*rounds(8), "end: completed"] if status == "completed" else [*rounds(4), "end: stopped:"]
        for label, status in statuses.items()
    } == TOLD
    assert "diary has heard of 1 of 1 completed runs, 1 of 1 stopped runs." in capsys.readouterr().err
    # What was swept without a tracker is told to it later, the stopped run too; what it knows is not.
    later = Tracked([Diary(where="later"), Diary()], "halved", out)
    TOLD.clear()
    later.end(record.runs)
    assert sorted(TOLD) == sorted(f"later{label}" for label in statuses)


def test_a_run_that_fails_is_ended_in_its_tracker_too(tmp_path: Path) -> None:
    plan, out = load_study(write_study(tmp_path)), tmp_path / "out"
    tracked = Tracked([Diary()], "tiny study", out)
    tracked.under_way(plan.runs[0], progress(1))
    tracked.end([dataclasses.replace(plan.runs[0].record, status="failed: of itself")])
    assert list(TOLD.values()) == [["round 1", "end: nothing"]]


def test_a_tracker_that_breaks_while_runs_go_on_harms_none(tmp_path: Path, capsys: Any) -> None:
    plan, out = load_study(write_study(tmp_path)), tmp_path / "out"
    tracked = Tracked([Diary(breaks_at=2), Diary(where="sound")], "tiny study", out)
    record = sweep(plan, out, InThisProcess(), on_result=tracked, on_round=tracked.under_way)
    tracked.end(record.runs)
    assert all(run.status == "completed" for run in record.runs)
    told = capsys.readouterr().err
    assert told.count("diary is left out from here on") == 1
    assert "diary has heard of 4 of 4 completed runs." in told
