"""A journal that comes from elsewhere: nothing outside of it, and nothing in it that is not its own, is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gapslsim.cli.main import main
from gapslsim.errors import JournalError
from gapslsim.learning.journal import _records
from gapslsim.learning.journal._checkpoint_info import new_name
from gapslsim.learning.journal._frames import CHECKPOINT, OBSERVATION, frame_bytes
from gapslsim.learning.journal.folder import trainings
from gapslsim.learning.journal.journal import Journal, JournalSettings
from gapslsim.learning.journal.maintenance import content_of, delete_journal, prune, verify
from gapslsim.learning.state import SideState
from gapslsim.work import content_key

MADE_BY = {"format": 1, "gapslsim": "1", "torch": "2"}
STATE = SideState((torch.ones(3),), (), {})


def opened(place: Path, **limits: int) -> Journal:
    about = {"name": "n", "framework": "psl", "seed": 1}
    return Journal(JournalSettings(place, **limits), content_key("setup", 1), MADE_BY, about)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the training in a sound journal with one checkpoint, beside a file and a folder of the user's."""
    journal = opened(tmp_path / "journal")
    journal.put(content_key("operation", 1), {"losses": []}, 1.0)
    journal.checkpoint({"a": STATE}, 1)
    journal.close()
    (tmp_path / "victim.txt").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".x.partial").write_text("mine")
    return journal.training.folder


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path, folder: Path) -> Iterator[None]:
    """What is the user's is as it was after every test here."""
    yield
    assert (tmp_path / "victim.txt").read_text() == "mine"
    assert (tmp_path / "mine" / ".x.partial").read_text() == "mine"


def attack(place: Path) -> None:
    """All that a journal is used for, one after the other."""
    verify(place)
    journal = opened(place, max_checkpoints=1)
    journal.holding("a")
    journal.holding("b")
    journal.checkpoint({"c": STATE}, 2)  # makes room by deleting the others
    journal.close()
    prune(place, max_bytes=0)
    if (place / "journal.json").exists():
        delete_journal(place)


@pytest.mark.parametrize("name", ["../../victim.txt", "{}/victim.txt", "../../mine/.x.partial"])
def test_a_record_that_names_another_file_deletes_nothing(name: str, folder: Path, tmp_path: Path) -> None:
    info = {"name": name.format(tmp_path), "sha256": "0", "size_bytes": 4, "round": 9, "keys": ["b"]}
    frame = frame_bytes(CHECKPOINT, b"k" * 32, json.dumps(info).encode())
    (folder / f"records-{'0' * 32}.log").write_bytes(frame)
    (problem,) = verify(tmp_path / "journal")[1]
    assert "are damaged" in problem
    journal = opened(tmp_path / "journal")
    assert journal.get(content_key("operation", 1)) is not None  # the run goes on with what is sound
    assert journal.holding("a") is not None
    assert "are damaged" in journal.messages[0]
    journal.close()
    attack(tmp_path / "journal")


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_checkpoint_that_is_no_file_is_as_good_as_gone(kind: str, folder: Path, tmp_path: Path) -> None:
    checkpoint = next(folder.glob("checkpoint-*"))
    checkpoint.rename(tmp_path / "elsewhere.pt")
    if kind == "link":
        checkpoint.symlink_to(tmp_path / "elsewhere.pt")
    else:
        os.mkfifo(checkpoint)
    journal = opened(tmp_path / "journal")
    assert journal.holding("a") is None
    journal.close()
    assert content_of(trainings(tmp_path / "journal")[0], check_checkpoints=True).checkpoints == []
    attack(tmp_path / "journal")
    assert (tmp_path / "elsewhere.pt").stat().st_size > 0
    assert checkpoint.is_symlink() or checkpoint.is_fifo()


def test_a_checkpoint_that_becomes_a_pipe_while_a_run_knows_of_it_is_passed_over(folder: Path) -> None:
    journal = opened(folder.parent)
    checkpoint = next(folder.glob("checkpoint-*"))
    checkpoint.unlink()
    os.mkfifo(checkpoint)
    assert journal.holding("a") is None
    assert "it is a pipe" in journal.messages[0]
    journal.close()


@pytest.mark.parametrize("kind", ["link", "pipe", "second name"])
def test_record_files_that_are_others_are_neither_read_nor_cut(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    torn = frame_bytes(OBSERVATION, b"k" * 32, b"{}")[:-1]
    (tmp_path / "other").write_bytes(torn)
    log = folder / f"records-{'0' * 32}.log"
    if kind == "link":
        log.symlink_to(tmp_path / "other")
    elif kind == "pipe":
        os.mkfifo(log)
    else:
        os.link(tmp_path / "other", log)
    attack(tmp_path / "journal")
    assert (tmp_path / "other").read_bytes() == torn


@pytest.mark.parametrize("name", ["lock", "header.json"])
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "second name"])
def test_a_lock_or_header_that_is_anothers_file_is_refused_or_replaced(
    name: str, kind: str, folder: Path, tmp_path: Path
) -> None:
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "second name":
        os.link(tmp_path / "victim.txt", folder / name)
    else:
        (folder / name).symlink_to(tmp_path / ("victim.txt" if kind == "link" else "new"))
    if name == "lock":
        with pytest.raises(JournalError, match="lock cannot be used"):
            opened(tmp_path / "journal")
        with pytest.raises(JournalError, match="lock cannot be used"):
            prune(tmp_path / "journal", max_bytes=0)
    else:
        attack(tmp_path / "journal")
    assert not (tmp_path / "new").exists()


def test_a_header_that_is_a_folder_is_replaced_if_it_is_empty_and_told_if_not(
    folder: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        (folder / "header.json").unlink()
        (folder / "header.json").mkdir()
        opened(tmp_path / "journal").close()
    (folder / "header.json").unlink()
    (folder / "header.json").mkdir()
    (folder / "header.json" / "mine").touch()
    with pytest.raises(JournalError, match=r"header.json cannot be written: .*see to it, or delete"):
        opened(tmp_path / "journal")
    assert (folder / "header.json" / "mine").exists()


def test_a_training_that_is_a_link_to_a_folder_is_none(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mine" / folder.name
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    files = sorted(path.name for path in elsewhere.iterdir())
    assert trainings(tmp_path / "journal") == []
    with pytest.raises(JournalError, match="is no folder that a journal made"):
        opened(tmp_path / "journal")
    prune(tmp_path / "journal", max_bytes=0)
    delete_journal(tmp_path / "journal")
    assert sorted(path.name for path in elsewhere.iterdir()) == files


def test_files_of_others_in_a_training_stay_when_the_training_goes(folder: Path, tmp_path: Path) -> None:
    mine = [
        folder / name for name in ("thesis.txt", "thesis.partial", "checkpoint-best.pt", "records-2024.log")
    ]
    for file in mine:
        file.write_text("mine")
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("mine")
    assert prune(tmp_path / "journal") == []
    delete_journal(tmp_path / "journal")
    assert {path.name for path in folder.iterdir()} == {"deep", *(file.name for file in mine)}


def test_a_marker_that_is_a_pipe_or_a_link_makes_no_journal(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "journal" / "journal.json"
    text = marker.read_text()
    marker.unlink()
    os.mkfifo(marker)
    with pytest.raises(JournalError, match="is no journal"):
        prune(tmp_path / "journal")
    marker.unlink()
    (tmp_path / "real.json").write_text(text)
    marker.symlink_to(tmp_path / "real.json")
    with pytest.raises(JournalError, match="is no journal"):
        opened(tmp_path / "journal")


@pytest.mark.parametrize(
    "header",
    ["[]", "[" * 99_999, '{"setup": 1}', '{"setup": "s", "about": {}, "compatibility": {}}',
     '{"setup": "s", "about": [], "compatibility": {"gapslsim": "1", "torch": "2"}}',
     '{"setup": 1, "about": {"name": 1, "framework": 2, "seed": 3}, "compatibility": {"gapslsim": "1", "torch": "2"}}'],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_a_header_that_says_something_else_is_none_and_is_written_again(
    header: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "header.json").write_text(header)
    assert trainings(folder.parent) == []
    with pytest.raises(SystemExit) as ended:
        main(["journal", "list", str(folder.parent)])
    assert ended.value.code in (0, None)
    journal = opened(folder.parent)
    assert journal.get(content_key("operation", 1)) is not None
    journal.close()
    assert len(trainings(folder.parent)) == 1


def test_the_users_own_link_to_a_journal_is_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path / "journal")
    assert verify(tmp_path / "linked") == (2, [])
    journal = opened(tmp_path / "linked")
    assert journal.holding("a") is not None
    journal.close()


def test_a_checkpoint_with_a_right_checksum_and_other_states_ends_in_words(folder: Path) -> None:
    journal = opened(folder.parent)
    journal.checkpoint({"x": STATE}, 2)
    info = content_of(journal.training).checkpoints[-1]
    journal.close()
    told = {**vars(info), "keys": ["a"], "round": 3}
    frame = frame_bytes(CHECKPOINT, b"k" * 32, json.dumps({**told, "name": new_name()}).encode())
    name = json.loads(frame[frame.index(b"{") :])["name"]
    (folder / info.name).rename(folder / name)
    (folder / f"records-{'f' * 32}.log").write_bytes(frame)
    journal = opened(folder.parent)
    held = journal.holding("a")
    assert held is not None
    with pytest.raises(JournalError, match="lacks a state that its record names"):
        held.state("a")
    journal.close()


def test_a_record_file_larger_than_any_run_writes_is_told_and_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder / f"records-{'0' * 32}.log").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no disk, and all memory if it is read
    journal = opened(folder.parent)
    assert "more than any run writes into one file" in journal.messages[0]
    assert journal.get(content_key("operation", 1)) is not None
    journal.close()
    assert any("more than the" in problem for problem in verify(folder.parent)[1])


def test_a_writer_begins_another_file_before_one_is_too_large_to_be_read(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_records, "MOST_BYTES", 400)
    (tmp_path / "own").mkdir()
    writer = _records.RecordFiles(tmp_path / "own")
    for i in range(9):
        writer.put(OBSERVATION, content_key("operation", i), b"x" * 50)
    assert len(list((tmp_path / "own").glob("records-*.log"))) == 3  # 95 bytes a frame, 3 pass the half
    reader = _records.RecordFiles(tmp_path / "own")
    assert all(reader.get(content_key("operation", i)) for i in range(9))
    assert writer.get(content_key("operation", 0)) == b"x" * 50
    writer.close()
    reader.close()
