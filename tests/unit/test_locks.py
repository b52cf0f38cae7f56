"""Files are held alone or together, with `flock` and without."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from gapslsim import locks
from gapslsim.locks import DEAD_AFTER_S, Holder, take

NO_FLOCK = """
import errno, fcntl, sys
def fails(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")
if sys.argv[2] == "without":
    fcntl.flock = fails
from pathlib import Path
from gapslsim.locks import take
assert take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
WAYS = ("with", "without")


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def _no_flock(request: Any, monkeypatch: Any) -> None:
    refuse_flock(monkeypatch, request.param)


def refuse_flock(monkeypatch: Any, number: int = errno.ENOSYS) -> None:
    def fails(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)


def claims(folder: Path) -> list[Path]:
    return list(folder.glob(".*.held"))


@pytest.mark.parametrize("way", WAYS)
def test_one_holds_alone_or_several_together(way: str, tmp_path: Path, monkeypatch: Any) -> None:
    if way == "without":
        refuse_flock(monkeypatch)
    file = tmp_path / "lock"
    alone = take(file)
    assert alone is not None
    assert take(file) is None
    assert take(file, shared=True) is None
    alone.release()
    first, second = take(file, shared=True), take(file, shared=True)
    assert first is not None
    assert second is not None
    assert take(file) is None
    first.release()
    assert take(file) is None
    second.release()
    with take(file) or pytest.fail("it is free"):
        assert take(file) is None
    assert claims(tmp_path) == []


@pytest.mark.usefixtures("_no_flock")
def test_a_file_system_without_flock_is_told_with_its_error(tmp_path: Path) -> None:
    hold = take(tmp_path / "lock")
    assert hold is not None
    assert hold.how.startswith("flock fails here: E")
    assert "heart beat" in hold.how
    (claim,) = claims(tmp_path)
    assert Holder.read(claim) == Holder.me()
    hold.release()


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_process_holds_nothing(way: str, tmp_path: Path, monkeypatch: Any) -> None:
    if way == "without":
        refuse_flock(monkeypatch)
    file = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", NO_FLOCK, str(file), way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert take(file) is None
        other.kill()
    with take(file) or pytest.fail("it is free"):
        # What the killed one left is cleared away.
        assert len(claims(tmp_path)) == (way == "without")


def test_a_holder_on_another_machine_counts_while_its_heart_beats(tmp_path: Path, monkeypatch: Any) -> None:
    refuse_flock(monkeypatch)
    claim = tmp_path / f".lock.alone-{0:032x}.held"
    claim.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "now", "space": ""}))
    assert take(tmp_path / "lock") is None
    age_s = claim.stat().st_mtime - DEAD_AFTER_S - 5
    os.utime(claim, (age_s, age_s))
    with take(tmp_path / "lock") or pytest.fail("it is free"):
        assert not claim.exists()


def test_hearts_beat_while_files_are_held(tmp_path: Path, monkeypatch: Any) -> None:
    refuse_flock(monkeypatch)
    monkeypatch.setattr(locks, "_BEAT_S", 0.01)
    monkeypatch.setattr(locks, "_HEART", locks._Heart())
    hold = take(tmp_path / "lock")
    assert hold is not None
    (claim,) = claims(tmp_path)
    os.utime(claim, (0, 0))
    for _ in range(500):
        if claim.stat().st_mtime > 0:
            break
        threading.Event().wait(0.01)
    else:
        pytest.fail("no heart beat")
    hold.release()


@pytest.mark.parametrize("options", ["rw,localflock", "rw,vers=4.2,local_lock=all"])
def test_flock_that_other_machines_never_hear_of_is_not_relied_on(
    options: str, tmp_path: Path, monkeypatch: Any
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {os.path.realpath(tmp_path)} nfs {options} 0 0\n")
    monkeypatch.setattr(locks, "_MOUNTS", mounts)
    hold = take(tmp_path / "lock")
    assert hold is not None
    assert hold.how.startswith("flock reaches no further than one machine")
    hold.release()
    mounts.write_text(f"/dev/a / ext4 rw,localflock 0 0\nserver:/x {os.path.realpath(tmp_path)} nfs rw 0 0\n")
    hold = take(tmp_path / "lock")
    assert hold is not None
    assert hold.how == ""
    hold.release()
