"""Two sweeps never work in one directory at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.results.store import load_summary
from gapslsim.studies.lock import LOCK, held, left_behind
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep
from tests.study_files import InThisProcess, write_study
from tests.unit.test_locks import refuse_flock

HOLD = """
import sys
from pathlib import Path
from gapslsim.studies.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the directory until it is told to end, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with process:
        yield process
        if process.poll() is None:
            process.kill()


def test_a_second_sweep_is_refused_and_told_who_is_at_work(other, tmp_path):
    plan = load_study(write_study(tmp_path))
    with pytest.raises(ResultsError, match=rf"another sweep is at work .*process {other.pid} on .*--resume"):
        sweep(plan, tmp_path / "out", InThisProcess())
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [LOCK]
    assert left_behind(tmp_path / "out") is None


def test_after_the_first_has_ended_the_next_goes_on(other, tmp_path):
    other.communicate()
    assert left_behind(tmp_path / "out") is None
    record = sweep(load_study(write_study(tmp_path)), tmp_path / "out", InThisProcess())
    assert all(run.status == "completed" for run in record.runs)
    assert (tmp_path / "out" / LOCK).read_text() == ""


def test_a_killed_sweep_is_told_and_does_not_stand_in_the_way(other, tmp_path, capsys):
    other.kill()
    other.wait()
    holder = left_behind(tmp_path / "out")
    assert holder is not None
    assert holder.pid == other.pid
    with pytest.raises(SystemExit):
        main(["sweep", str(write_study(tmp_path)), "--out", str(tmp_path / "out"), "--jobs", "1"])
    told = capsys.readouterr()
    assert f"The last sweep in {tmp_path / 'out'} was killed (process {other.pid} on " in told.err
    assert "4 of 4 runs completed" in told.out
    assert left_behind(tmp_path / "out") is None


def test_a_lock_is_let_go_when_what_it_guards_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        raise ZeroDivisionError
    with held(tmp_path):
        assert (tmp_path / LOCK).read_text() != ""
    assert left_behind(tmp_path) is None


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="could not be written"), held(Path(tmp_path / "file")):
        pass


def test_without_flock_studies_run_are_protected_all_the_same_and_say_so(tmp_path, monkeypatch):
    refuse_flock(monkeypatch)
    plan = load_study(write_study(tmp_path))
    notes = []
    with held(tmp_path / "out"), pytest.raises(ResultsError, match="another sweep is at work"):
        sweep(plan, tmp_path / "out", InThisProcess())
    record = sweep(
        plan,
        tmp_path / "out",
        InThisProcess(),
        observer=lambda told: notes.append(told.note) if told.note else None,
    )
    assert all(run.status == "completed" for run in record.runs)
    (note,) = notes
    assert note.startswith(f"{tmp_path / 'out'}: flock fails here: ENOSYS")
    messages = load_summary(tmp_path / "out" / "runs" / "gapsl-seed1")["journal"]["messages"]
    assert any("flock fails here: ENOSYS" in message for message in messages)
    assert not list((tmp_path / "out").rglob("*.held"))
