"""Inputs tried one after another in one process are judged as those tried alone; one that ends it costs no other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.sandbox import Ending, Running, furnish
from tests.fuzz.shift import Shift

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def loops(_: list[str]) -> None:
    while True:
        pass


def fails(_: list[str]) -> None:
    raise KeyError("x")


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "ends": lambda _: None,
    "fails": fails,
    "grows": lambda _: np.ones(300_000_000, dtype=np.uint8).sum(),
    "writes": lambda _: Path("../in/x").write_text("x"),
    "dies": lambda _: os._exit(0),
    "loops": loops,
    "sets": lambda _: os.environ.update(LEFT="1"),
}


def tried(folder: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    def carry_out(name: str) -> Ending:
        world = folder / f"{name}-{os.getpid()}-{time.monotonic_ns()}"
        furnish(world)
        assert "LEFT" not in os.environ
        ending = Running(world, [], program=PROGRAMS[name]).here()
        os.chdir(folder)
        return ending

    shift = Shift(names, carry_out)
    found: list[tuple[str, str]] = []
    while not shift.is_over:
        found += [(name, ending.fault) for name, ending in shift.look()]
        time.sleep(0.001)
    with pytest.raises(ChildProcessError):  # a campaign has hundreds of them
        os.waitpid(-1, os.WNOHANG)
    return found


def test_each_is_judged_by_what_it_did_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.sandbox.GROWTH_BYTES", 200_000_000)
    names = ["ends", "writes", "grows", "ends", "fails", "sets", "ends"]
    faults = dict.fromkeys(names, "") | {
        "writes": "wrote outside: in/x",
        "grows": "memory grew by more than 1 GB",
        "fails": "traceback: KeyError at ? (rose in test_shift.py:fails)",
    }
    assert tried(tmp_path, names) == [(name, faults[name]) for name in names]


def test_one_that_ends_or_holds_the_process_is_told_and_the_rest_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.shift.ASKED_S", 0.1)
    found = tried(tmp_path, ["ends", "dies", "ends", "loops", "fails"])
    assert [name for name, _ in found] == ["ends", "dies", "ends", "loops", "fails"]
    assert [fault != "" for _, fault in found] == [False, True, False, True, True]


def test_who_is_asked_to_end_while_an_input_is_made_goes_on(tmp_path: Path) -> None:
    def carry_out(name: str) -> Ending:
        os.kill(os.getpid(), signal.SIGTERM)
        furnish(tmp_path / name)
        os.kill(os.getpid(), signal.SIGTERM)
        ending = Running(tmp_path / name, [], program=PROGRAMS["ends"]).here()
        os.kill(os.getpid(), signal.SIGTERM)
        os.chdir(tmp_path)
        return ending

    shift, found = Shift(["a", "b"], carry_out), []
    while not shift.is_over:
        found += [(name, ending.fault) for name, ending in shift.look()]
        time.sleep(0.001)
    assert found == [("a", ""), ("b", "")]
