"""Records of several processes, checkpoints that are damaged, journals that may not be mixed, limits."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch

from gapslsim.errors import JournalError
from gapslsim.learning.journal._frames import OBSERVATION
from gapslsim.learning.journal._records import RecordFiles
from gapslsim.learning.journal.folder import trainings
from gapslsim.learning.journal.journal import Journal, JournalSettings
from gapslsim.learning.journal.maintenance import content_of, delete_journal, prune, verify
from gapslsim.learning.state import SideState
from gapslsim.records import LossRow
from gapslsim.work import content_key

ABOUT = {"name": "n", "framework": "psl", "seed": 1}
MADE_BY = {"format": 1, "gapslsim": "1", "torch": "2"}


def journal(folder: Path, made_by: dict[str, Any] = MADE_BY, **limits: Any) -> Journal:
    settings = JournalSettings(folder / "journal", **limits)
    return Journal(settings, content_key("setup", 1), made_by, ABOUT)


def key(i: int) -> str:
    return content_key("operation", i)


def state(value: float) -> SideState:
    weights = (torch.full((3,), value), torch.tensor(value))
    return SideState(weights, (torch.tensor(7),), {"momentum": (torch.zeros(3), torch.zeros(()))}, 4)


def test_a_record_comes_back_as_it_was_in_this_process_and_in_the_next(tmp_path: Path) -> None:
    record = {"losses": [LossRow(1, 0, 0.1 + 0.2, 5)], "rule_state": {"nu_min": float("inf")}}
    first = journal(tmp_path)
    assert first.get(key(1)) is None
    first.put(key(1), record, seconds=2.5)
    assert first.get(key(1)) == {"seconds": 2.5, **record}
    first.close()
    second = journal(tmp_path)
    assert second.get(key(1)) == {"seconds": 2.5, **record}
    assert (second.n_replayed, second.saved_s, second.messages) == (1, 2.5, [])
    second.close()


def test_processes_read_what_the_others_append_while_they_run(tmp_path: Path) -> None:
    left, right = RecordFiles(tmp_path), RecordFiles(tmp_path)
    left.put(OBSERVATION, key(1), b"one")
    assert right.get(key(1)) == b"one"
    right.put(OBSERVATION, key(2), b"two")
    left.put(OBSERVATION, key(3), b"three")
    assert (left.get(key(2)), right.get(key(3))) == (b"two", b"three")
    assert len(list(tmp_path.glob("records-*.log"))) == 2
    left.close()
    right.close()


@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_what_another_process_is_computing_is_waited_for_and_not_computed_twice(
    tmp_path: Path, end: str
) -> None:
    first = journal(tmp_path)
    ready, started = os.pipe()
    child = os.fork()
    if not child:
        other = journal(tmp_path)
        with other.computing(dict.fromkeys([key(1), key(2)], bool)):
            os.write(started, b"x")
            time.sleep(0.2)
            if end == "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            other.put(key(1), {"losses": []}, seconds=1.0)
            os._exit(0)
    os.read(ready, 1)
    # Another operation is nobody's affair.
    with first.computing(dict.fromkeys([key(3)], bool)) as news:
        assert news == {}
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    with first.computing(dict.fromkeys([key(2), key(1)], bool)) as news:
        assert news == ({} if end == "is killed" else {key(1): {"seconds": 1.0, "losses": []}})
    os.waitpid(child, 0)
    first.close()


def test_a_torn_end_is_cut_off_once_its_writer_is_gone_and_told_once(tmp_path: Path) -> None:
    writer = RecordFiles(tmp_path)
    writer.put(OBSERVATION, key(1), b"one")
    writer.put(OBSERVATION, key(2), b"two")
    (path,) = tmp_path.glob("records-*.log")
    os.truncate(path, path.stat().st_size - 2)
    meanwhile = RecordFiles(tmp_path)
    assert (meanwhile.get(key(1)), meanwhile.get(key(2)), meanwhile.messages) == (b"one", None, [])
    meanwhile.close()
    writer.close()
    after = RecordFiles(tmp_path)
    assert after.get(key(2)) is None
    assert len(after.messages) == 1
    assert path.name in after.messages[0]
    assert "torn" in after.messages[0]
    after.put(OBSERVATION, key(2), b"two")
    after.close()
    again = RecordFiles(tmp_path)
    assert (again.get(key(1)), again.get(key(2)), again.messages) == (b"one", b"two", [])
    again.close()


def test_a_damaged_record_is_named_and_not_used(tmp_path: Path) -> None:
    writer = RecordFiles(tmp_path)
    for i in range(3):
        writer.put(OBSERVATION, key(i), b"payload")
    writer.close()
    (path,) = tmp_path.glob("records-*.log")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    reader = RecordFiles(tmp_path)
    assert [reader.get(key(i)) for i in range(3)] == [b"payload", None, b"payload"]
    assert path.name in reader.messages[0]
    assert "damaged" in reader.messages[0]
    reader.close()


def test_a_checkpoint_gives_states_back_bit_for_bit_and_keeps_what_they_share(tmp_path: Path) -> None:
    writer = journal(tmp_path)
    one = state(0.1)
    same = SideState(one.parameters, one.buffers, {}, 9)
    writer.checkpoint({"a": one, "b": same}, round=5)
    writer.close()
    reader = journal(tmp_path)
    held = reader.holding("a")
    assert held is not None
    assert reader.holding("c") is None
    a, b = held.state("a"), held.state("b")
    assert a.parameters is b.parameters
    assert (a.n_updates, b.n_updates) == (4, 9)
    for left, right in zip(a.parameters + a.buffers, one.parameters + one.buffers, strict=True):
        assert torch.equal(left, right)
        assert left.dtype == right.dtype
    reader.close()


def test_a_damaged_checkpoint_is_named_and_an_older_one_is_used(tmp_path: Path) -> None:
    writer = journal(tmp_path)
    writer.checkpoint({"a": state(1.0)}, round=1)
    writer.checkpoint({"a": state(1.0), "b": state(2.0)}, round=2)
    writer.close()
    newest = content_of(trainings(tmp_path / "journal")[0]).checkpoints[-1].name
    (path,) = (tmp_path / "journal").rglob(newest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    reader = journal(tmp_path)
    assert reader.holding("b") is None
    held = reader.holding("a")
    assert held is not None
    assert held.info.round == 1
    assert path.name in reader.messages[0]
    reader.close()
    assert any(path.name in problem for problem in verify(tmp_path / "journal")[1])


def test_records_made_by_other_programs_are_ignored_and_said(tmp_path: Path) -> None:
    old = journal(tmp_path, {**MADE_BY, "torch": "1"})
    old.put(key(1), {}, 1.0)
    old.close()
    new = journal(tmp_path)
    assert new.get(key(1)) is None
    assert "torch 1 (here 2)" in new.messages[0]
    new.close()
    assert prune(tmp_path / "journal", keep_made_by={"torch": "2"})[0].endswith("made by another version.")
    assert [t.header["compatibility"]["torch"] for t in trainings(tmp_path / "journal")] == ["2"]


def test_a_journal_of_another_format_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    journal(tmp_path).close()
    (tmp_path / "journal" / "journal.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(JournalError, match="format 99"):
        journal(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(JournalError, match="is no journal"):
        Journal(JournalSettings(other), content_key("setup", 1), MADE_BY, ABOUT)
    with pytest.raises(JournalError, match="is no journal"):
        delete_journal(other)
    assert (other / "thesis.txt").exists()


def test_an_unfinished_marker_of_another_process_does_not_make_a_folder_something_else(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / ".journal.json.0123abcd.partial").write_text(
        '{"what": "jour'
    )  # Killed over it, or still at it.
    one = journal(tmp_path)
    one.put(key(1), {"text": "x"}, 0.1)
    one.close()
    other = journal(tmp_path)
    assert other.get(key(1)) is not None
    other.close()


def test_processes_may_begin_a_journal_at_the_same_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for attempt in range(40):
            barrier = Barrier(8)

            def begin(_: int, folder: Path = tmp_path / str(attempt), start: Barrier = barrier) -> None:
                start.wait()
                journal(folder).close()

            list(pool.map(begin, range(8)))


def test_the_oldest_checkpoints_go_when_there_are_too_many(tmp_path: Path) -> None:
    kept = journal(tmp_path, max_checkpoints=2)
    for round in range(1, 5):
        kept.checkpoint({f"state {round}": state(round)}, round)
    assert [kept.holding(f"state {round}") is not None for round in range(1, 5)] == [False, False, True, True]
    kept.close()
    content = content_of(trainings(tmp_path / "journal")[0], check_checkpoints=True)
    assert [info.round for info in content.checkpoints] == [3, 4]
    assert content.problems == []


def test_a_full_journal_takes_nothing_more_and_says_so(tmp_path: Path) -> None:
    full = journal(tmp_path, max_bytes=3000)
    for i in range(100):
        full.put(key(i), {"text": "x" * 50}, 0.1)
    assert full.n_computed == 100
    assert len([m for m in full.messages if "limit of 3000 bytes" in m]) == 1
    assert full.get(key(0)) is not None
    assert full.get(key(99)) is None
    assert not full.checkpoint_is_due(1)
    full.close()


def test_a_checkpoint_larger_than_the_limit_is_kept_and_the_run_goes_on_with_its_journal(
    tmp_path: Path,
) -> None:
    kept = journal(tmp_path, max_bytes=3000)
    large = {i: SideState((torch.full((50_000,), float(i)),), (), {}) for i in (1, 2, 3)}
    for round, of_round in large.items():
        kept.put(key(round), {"text": "x"}, 0.1)
        kept.checkpoint({f"state {round}": of_round}, round)
        assert not kept.checkpoint_is_due(0)
    # Each takes 200 kB; the last alone is there, and records are still taken.
    assert [kept.holding(f"state {round}") is not None for round in large] == [False, False, True]
    assert kept.get(key(3)) is not None
    assert kept.messages == []
    kept.close()
    content = content_of(trainings(tmp_path / "journal")[0], check_checkpoints=True)
    assert content.problems == []
    assert [info.round for info in content.checkpoints] == [3]
    assert content.checkpoints[0].size_bytes > 200_000
    again = journal(tmp_path, max_bytes=3000)
    found = again.holding("state 3")
    assert found is not None
    assert torch.equal(found.state("state 3").parameters[0], large[3].parameters[0])
    again.close()


def test_older_checkpoints_stay_while_they_are_within_the_limit_beside_the_newest(tmp_path: Path) -> None:
    one = journal(tmp_path / "one")
    one.checkpoint({"state": state(1)}, 1)
    one.close()
    size = content_of(trainings(tmp_path / "one" / "journal")[0]).checkpoints[0].size_bytes
    kept = journal(tmp_path / "two", max_bytes=int(2.9 * size))
    for round in range(1, 6):
        kept.checkpoint({f"state {round}": state(round)}, round)
    assert [kept.holding(f"state {round}") is not None for round in range(1, 6)] == [False] * 2 + [True] * 3
    kept.close()


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: Any) -> None:
    def full(parts: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    kept = journal(tmp_path)
    kept.checkpoint({"state": state(1)}, 1)
    assert "No space left on device" in kept.messages[0]
    kept.close()
    assert not [
        file for file in trainings(tmp_path / "journal")[0].folder.iterdir() if "checkpoint" in file.name
    ]


def test_checkpoints_are_due_every_so_many_rounds(tmp_path: Path) -> None:
    kept = journal(tmp_path, checkpoint_every=3)
    assert [kept.checkpoint_is_due(round) for round in range(1, 7)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]
    kept.close()


def test_pruning_leaves_what_is_in_use_and_comes_down_to_the_size(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    for round in (1, 2):
        kept.checkpoint({f"s{round}": state(round)}, round)
    place = tmp_path / "journal"
    assert "in use" in prune(place, max_bytes=0)[0]
    kept.close()
    (kept.training.folder / f"checkpoint-{32 * '0'}.pt").write_bytes(b"left over")
    size = content_of(kept.training).checkpoints[0].size_bytes
    total = sum(path.stat().st_size for path in kept.training.folder.iterdir())
    done = prune(place, max_bytes=total - 9 - size)
    assert len(done) == 2
    assert "no record names it" in done[0]
    assert [info.round for info in content_of(kept.training).checkpoints] == [2]
    prune(place, max_bytes=0)
    assert trainings(place) == []
