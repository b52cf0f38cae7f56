"""Regular files alone are read, within a size, and nothing is waited for."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from gapslsim.regular_files import (
    check_regular,
    exists,
    in_home,
    is_plain_name,
    open_regular,
    read_bytes,
    read_text,
    real_path,
)

READERS = (check_regular, open_regular, read_bytes, read_text)


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_refused_at_once_by_every_reader(reader, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=re.escape("it is a pipe, not a regular file")):
        reader(tmp_path / "pipe")


def test_what_else_is_no_regular_file_is_called_what_it_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        for path, what in (
            (tmp_path / "s", "socket"),
            (tmp_path, "directory"),
            (Path("/dev/zero"), "device"),
        ):
            with pytest.raises(OSError, match=f"it is a {what}"):
                open_regular(path)


def test_a_link_to_a_file_is_followed_only_where_the_caller_allows_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    assert read_text(tmp_path / "link") == "text"
    with pytest.raises(OSError, match="it is a link"):
        read_text(tmp_path / "link", follow=False)


def test_a_link_that_appears_after_the_look_is_not_followed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    monkeypatch.setattr("gapslsim.regular_files.check_regular", lambda *_, **__: None)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_regular(tmp_path / "link", follow=False)


def test_a_file_of_the_limits_size_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1_000_001)
    assert len(read_bytes(tmp_path / "file", 1_000_001)) == 1_000_001
    with pytest.raises(OSError, match=r"it has 1\.0 MB, more than the 1\.0 MB that are read"):
        read_bytes(tmp_path / "file", 1_000_000)


def test_a_file_that_says_it_is_empty_is_held_to_the_limit_as_well() -> None:
    assert Path("/proc/cpuinfo").stat().st_size == 0
    with pytest.raises(OSError, match="more than the"):
        read_bytes(Path("/proc/cpuinfo"), 10)


def test_text_has_its_line_ends_made_one_kind(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\nb\rc\n")
    assert read_text(tmp_path / "file") == (tmp_path / "file").read_text() == "a\nb\nc\n"


def test_a_reader_of_a_refused_file_leaves_nothing_open(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_bytes(b"xx")
    monkeypatch.setattr("gapslsim.regular_files.check_regular", lambda *_, **__: None)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="more than"):
        open_regular(tmp_path / "file", 1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_name_with_a_nul_is_refused_as_other_files_are() -> None:
    with pytest.raises(OSError, match="a NUL in it"):
        read_text(Path("a\0b"))


def test_a_name_that_leads_out_of_its_folder_is_not_plain() -> None:
    assert all(map(is_plain_name, ("run-1", "a b", ".hidden", "..x", "ä")))
    assert not any(map(is_plain_name, ("", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "C:x", "a\0b")))


def test_the_real_path_of_what_leads_in_a_circle_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert real_path(tmp_path / "a").parent == tmp_path.resolve()
    with pytest.raises(OSError, match="symbolic links"):
        read_text(real_path(tmp_path / "a"))
    (tmp_path / "c").symlink_to(tmp_path / "file")
    assert real_path(tmp_path / "c") == tmp_path.resolve() / "file"
    assert real_path("a\0b") == Path("a\0b")


def test_a_home_of_nobody_is_left_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert in_home("~/data") == Path("/home/me/data")
    assert in_home("~nobody-is-called-so/data") == Path("~nobody-is-called-so/data")


def test_whether_something_lies_there_is_answered_of_names_that_nothing_can_have(tmp_path: Path) -> None:
    assert [exists(name) for name in (tmp_path, tmp_path / "no", "x" * 5000, "a\0b")] == [
        True,
        False,
        False,
        False,
    ]
