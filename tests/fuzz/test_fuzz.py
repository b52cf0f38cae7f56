"""The attack sees what it looks for, does the same twice, and what it once found stays mended."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

from tests.fuzz.campaign import replay
from tests.fuzz.mutations import mutate_file
from tests.fuzz.sandbox import Ending, Running, furnish
from tests.fuzz.values import SECRET

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
FOUND = sorted(path for path in (Path(__file__).parent / "found").iterdir() if path.is_dir())


def ended(folder: Path, program: Callable[[list[str]], None], may_last: bool = False) -> Ending:
    furnish(folder / "world")
    running = Running(folder / "world", [], may_last, program=program)
    running.start()
    while (ending := running.look()) is None:
        time.sleep(0.001)
    return ending


def says(code: int) -> Callable[[list[str]], None]:
    def program(_: list[str]) -> None:
        sys.stderr.write("Give another file.\n")
        sys.exit(code)

    return program


def fails(_: list[str]) -> None:
    raise KeyError("x")


def prints(text: str) -> Callable[[list[str]], None]:
    return lambda _: print(text)


def grows(_: list[str]) -> None:
    np.ones(300_000_000, dtype=np.uint8)


def asks_for_all(_: list[str]) -> None:
    bytearray(1 << 36)


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        (says(0), ""),
        (says(2), ""),
        (says(77), "exit code 77"),
        (lambda _: sys.exit(2), "exit code 2 without a word"),
        (fails, "traceback: KeyError at ? (rose in test_fuzz.py:fails)"),
        (asks_for_all, "traceback: MemoryError at ? (rose in test_fuzz.py:asks_for_all)"),
        (lambda _: os.kill(os.getpid(), 9), "exit code -9"),
        (grows, "memory grew by more than 1 GB"),
        (prints("ab" * 10_000_000), "printed 20 MB or more"),
        (lambda _: prints(Path("..", SECRET).read_text())(_), "printed what a file holds that is not ours"),
        (prints("a\x1b[31mb"), r"printed the control character '\x1b'"),
        (lambda _: Path("../in/x").write_text("x"), "wrote outside: in/x"),
        (lambda _: Path("..", SECRET).unlink(), f"wrote outside: {SECRET}"),
        (lambda _: Path("../out/x").write_text("x"), ""),
        (lambda _: Path("/proc/x").write_text("x"), "wrote outside: open '/proc/x'"),
        (lambda _: os.system("true"), "wrote outside: os.system b'true'"),
    ],
)
def test_what_a_command_must_not_do_is_seen(
    program: Callable[[list[str]], None], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.sandbox.GROWTH_BYTES", 200_000_000)
    assert ended(tmp_path, program).fault == fault


def test_a_command_that_computes_or_waits_for_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.sandbox.LIMIT_S", 0.2)
    monkeypatch.setattr("tests.fuzz.sandbox.ASKED_S", 0.1)

    def loops(_: list[str]) -> None:
        while True:
            pass

    for name, program in {"loops": loops, "waits": lambda _: Path("../fifo").read_text()}.items():
        assert "more than 0.2 s" in ended(tmp_path / name, program).fault
    # One that may last is asked to end by SIGTERM, and ends by it.
    assert ended(tmp_path / "asked", loops, may_last=True).code == -15


SOUND = {
    "a.yaml": b"name: x\nsizes: [1, 2, {a: b}]\n",
    "a.json": b'{"a": [1, 2]}',
    "a.csv": b"a,b\n1,2\n3,4\n",
    "a": b"\x00\x01\x02" * 9,
}


def test_a_number_of_dice_makes_the_same_input_again_and_others_make_others(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}).to_parquet(tmp_path / "sound.parquet")
    np.savez(tmp_path / "sound.npz", x=np.arange(6.0), y=np.arange(6))
    files = {f"sound{Path(name).suffix}": data for name, data in SOUND.items()}
    files |= {path.name: path.read_bytes() for path in tmp_path.glob("sound.*")}
    for name, data in files.items():
        made = [_made(tmp_path / name, data, number) for number in [*range(12), 0]]
        assert made[0] == made[-1]
        assert len(set(made)) > 2, name


def _made(path: Path, data: bytes, number: int) -> bytes:
    path.write_bytes(data)
    dice = Random(f"x {number}")
    dice.random = lambda: 0.5  # type: ignore[method-assign]  # the file stays one, and its structure is changed
    mutate_file(path, dice, [])
    return path.read_bytes()


@pytest.mark.parametrize("place", FOUND, ids=lambda path: path.name)
def test_what_was_found_once_ends_in_words(place: Path, tmp_path: Path) -> None:
    ending = replay(place, tmp_path / "world", str(tmp_path / "cache"))
    assert (ending.fault, ending.said[-300:] if ending.fault else "") == ("", "")


def test_a_bomb_of_aliases_harms_no_campaign(tmp_path: Path) -> None:
    """Eight nines of values behind eight aliases: each container is a place once, and as JSON they are not written."""
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 0}]" for i in range(30)]
    (tmp_path / "bomb.yaml").write_text("\n".join(levels) + "\nloop: &l [*l]\n")
    for seed in range(60):
        for name in ("one.yaml", "one.json"):
            (tmp_path / name).write_text('{"a": [1, {"b": 2}]}')
            mutate_file(tmp_path / name, Random(f"{seed}"), [tmp_path / "bomb.yaml"])
            assert not (tmp_path / name).is_file() or (tmp_path / name).stat().st_size < 10_000_000
            if (tmp_path / name).is_dir():
                (tmp_path / name).rmdir()
            (tmp_path / name).unlink(missing_ok=True)


def test_a_bomb_of_lists_in_a_pickle_is_not_written_out(tmp_path: Path) -> None:
    nested: list[object] = ["x"]
    for _ in range(40):
        nested = [nested, nested]
    for seed in range(60):
        (tmp_path / "test_batch").write_bytes(pickle.dumps({b"labels": nested, b"data": np.zeros((3, 4))}))
        mutate_file(tmp_path / "test_batch", Random(f"{seed}"), [])
        if (tmp_path / "test_batch").is_dir():
            (tmp_path / "test_batch").rmdir()
        (tmp_path / "test_batch").unlink(missing_ok=True)
