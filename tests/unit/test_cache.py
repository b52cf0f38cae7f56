from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gapslsim import cache
from gapslsim.cache import cache_folder, remembered


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAPSLSIM_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


class Counted:
    """Gives a value and counts how often."""

    def __init__(self, value: Any = None) -> None:
        self.value, self.n = value, 0

    def __call__(self) -> Any:
        self.n += 1
        return self.value


def test_a_value_is_computed_once_for_the_same_key_and_numbers_come_back_exactly(folder: Path) -> None:
    value = {"a": [1, 2.0, 0.1 + 0.2, 1e300], "b": None}
    compute = Counted(value)
    assert [remembered(["x", 1], compute), remembered(["x", 1], compute)] == [value, value]
    assert repr(remembered(["x", 1], compute)["a"]) == repr(value["a"])
    assert compute.n == 1
    remembered(["x", 2], compute)
    remembered(["x", 1], compute, code=("learning",))
    assert compute.n == 3
    assert len(list(folder.iterdir())) == 3  # and nothing unfinished


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"value": 3}', '{"sha256": "0", "value": 3}'])
def test_a_damaged_entry_is_computed_again_and_mended(folder: Path, damage: str) -> None:
    remembered("x", lambda: 7)
    (entry,) = folder.iterdir()
    whole = entry.read_text()
    entry.write_text(damage)
    assert remembered("x", lambda: 7) == 7
    assert entry.read_text() == whole


def test_no_flipped_bit_of_an_entry_changes_a_value(folder: Path) -> None:
    value = {"flop": [1, 2.5, 1e9], "shape": [3, 32]}
    remembered("x", lambda: value)
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    for place in range(0, 8 * len(whole), 7):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        entry.write_bytes(damaged)
        assert repr(remembered("x", lambda: value)) == repr(value)


def test_links_pipes_and_folders_in_place_of_entries_are_neither_read_nor_followed(folder: Path) -> None:
    remembered("x", lambda: 7)
    (entry,) = folder.iterdir()
    victim = folder.parent / "victim"
    victim.write_bytes(entry.read_bytes())
    for make in (
        lambda: entry.symlink_to(victim),
        lambda: entry.symlink_to("nowhere"),
        lambda: entry.symlink_to(entry.name),
        lambda: os.mkfifo(entry),
        entry.mkdir,
    ):
        entry.unlink()
        make()
        assert remembered("x", lambda: 8) == 8
    assert json.loads(victim.read_text())["value"] == 7
    entry.rmdir()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["kept", "victim"]


def test_files_of_others_stay_and_hinder_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 4)
    folder.mkdir()
    others = ["f" * 69, "g" * 64 + ".json", "notes.txt", "0" * 63 + ".json"]
    for name in others:
        (folder / name).write_text("mine")
    (folder / ("0" * 64 + ".json")).mkdir()
    (folder / ("1" * 64 + ".json")).symlink_to("nowhere")
    for number in range(9):
        remembered(number, lambda: 0)
    assert len([path for path in folder.glob("*.json") if cache._ENTRY.fullmatch(path.name)]) <= 5
    assert all((folder / name).read_text() == "mine" for name in others)
    assert (folder / ("0" * 64 + ".json")).is_dir()


def test_what_fails_is_not_kept(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        remembered("x", lambda: 1 / 0)
    assert not folder.exists()


def test_the_older_half_goes_when_there_are_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 4)
    for number in range(4):
        remembered(number, lambda: 0)
    for age, file in enumerate(sorted(folder.iterdir())):
        os.utime(file, (1e9 + age, 1e9 + age))
    (folder / "notes.txt").write_text("mine")
    newest = sorted(folder.glob("*.json"))[-1]
    remembered(4, lambda: 0)
    assert len(list(folder.glob("*.json"))) == 2
    assert newest.exists()
    assert (folder / "notes.txt").exists()


def test_it_can_be_moved_and_switched_off_and_needs_no_place_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GAPSLSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gapslsim"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "gapslsim"
    monkeypatch.setenv("GAPSLSIM_CACHE", "off")
    compute = Counted(1)
    assert [remembered("x", compute), remembered("x", compute)] == [1, 1]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GAPSLSIM_CACHE", str(tmp_path / "file" / "below"))
    assert remembered("x", compute) == 1
    assert compute.n == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_costs_that_were_kept_are_those_that_are_computed(folder: Path) -> None:
    from gapslsim.models.cost import _split_cost, split_cost
    from gapslsim.models.model import models

    model = models["cnn"](cut=2)
    fresh, kept = [], []
    for found in (fresh, kept):
        _split_cost.cache_clear()
        cost = split_cost(model, (1, 8, 8), 10, 16)
        found.append(cost)
    assert [json.loads(entry.read_text())["value"]["smashed_shape"] for entry in folder.iterdir()] == [
        list(fresh[0].smashed_shape)
    ]
    assert kept[0] is not fresh[0]
    for side in ("client", "server"):
        one, two = getattr(fresh[0], side), getattr(kept[0], side)
        assert list(one.forward.flat()) == list(two.forward.flat())
        assert list(one.backward.flat()) == list(two.backward.flat())
        assert {k: v for k, v in vars(one).items() if k not in ("forward", "backward")} == {
            k: v for k, v in vars(two).items() if k not in ("forward", "backward")
        }
    assert kept[0].smashed_shape == fresh[0].smashed_shape
