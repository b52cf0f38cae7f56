"""Files are there whole or not at all, whatever ends their writing: a full disk, Ctrl-C, another writer."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.learning.journal._checkpoints import Checkpoints
from gapslsim.learning.state import SideState
from gapslsim.results.drawing.matplotlib_printer import write_figure
from gapslsim.results.outputs import whole, write_text
from gapslsim.whole_files import make_folder, whole_file, whole_path
from tests.study_files import BASE


def test_a_folder_of_any_depth_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deep = Path("/".join("a" * 1200))
    make_folder(deep)
    make_folder(deep)
    assert deep.is_dir()
    for folder in (deep, *deep.parents[:-1]):  # which pytest would remove by recursion
        folder.rmdir()
    (tmp_path / "file").touch()
    for taken in ("file", "file/below"):
        with pytest.raises(OSError, match="file"):
            make_folder(tmp_path / taken)


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """No file gets longer than this: the kernel refuses what is beyond, as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_that_does_not_fit_leaves_what_was_there_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("before")
    with pytest.raises(OSError, match="File too large") as found, full_disk(1000), whole_file(path) as file:
        file.write(bytes(9000))
    assert (found.value.errno, found.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError(), OSError(errno.ENOSPC, "full")])
def test_whatever_ends_the_writing_nothing_is_left(error: BaseException, tmp_path: Path) -> None:
    def write() -> None:
        with whole(tmp_path / "new" / "x") as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises((type(error), ResultsError)):
        write()
    assert list((tmp_path / "new").iterdir()) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120)
    with whole_path(path) as left, whole_path(path) as right:
        left.write_text("left")
        right.write_text("right")
    assert path.read_text() == "left"
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_and_a_text_that_do_not_fit_are_told_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"a\.txt could not be written: File too large"), full_disk(1000):
        write_text(tmp_path / "a.txt", "x" * 9000)
    with pytest.raises(ResultsError, match=r"a\.png could not be written: File too large"), full_disk(1000):
        write_figure(Figure(), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_does_not_fit_says_so_in_the_systems_words(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "cpu")
    state = SideState((torch.zeros(5000),), (), {}, 0)
    with pytest.raises(OSError, match="File too large"), full_disk(8000):
        checkpoints.write({"key": state}, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_a_full_disk_says_what_is_kept_and_leaves_no_half_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    call = ["run", str(tmp_path / "base.yaml"), "-o", str(tmp_path / "out"), "-q"]
    with pytest.raises(SystemExit) as ended, full_disk(6000):
        main(call)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "File too large" in told
    assert "what was trained lies in" in told
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in left if path.name.endswith(".partial")]
    assert {path.name for path in left if not path.stat().st_size} <= {"lock", "turns"}
    with pytest.raises(SystemExit) as again:
        main([*call, "--resume"])
    assert not again.value.code
    assert (tmp_path / "out" / "summary.json").exists()


def test_nothing_takes_the_place_of_what_is_no_file(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.txt", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for place, what in ((pipe, "a pipe"), (folder, "a directory")):
        with pytest.raises(ResultsError, match=f"could not be written: it is {what}"):
            write_text(place, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe.txt"]
    assert pipe.is_fifo()
