"""One change to one file, chosen by dice: what kind of file it is decides what can be changed in it."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz import containers
from tests.fuzz.tables import mutate_lines
from tests.fuzz.trees import mutate_written
from tests.fuzz.values import SECRET

__all__ = ["mutate_file"]

_TREES = (".yaml", ".yml", ".json", ".mn")


def mutate_file(path: Path, dice: Random, others: list[Path]) -> None:
    """Changes a file, or what it is: now and then it becomes a folder, a pipe, a link, or is gone.

    Args:
        path: of the file, whose name tells its kind.
        dice: decide what is done.
        others: files to take parts from.
    """
    if dice.random() < 0.04:
        _something_else(path, dice)
        return
    data = path.read_bytes()
    parts = [other.read_bytes() for other in dice.sample(others, min(3, len(others)))]
    path.write_bytes(_mutated(data, path.name, dice, parts))


def _mutated(data: bytes, name: str, dice: Random, others: list[bytes]) -> bytes:
    if dice.random() < 0.15:
        return _bytes(data, dice, others)
    try:
        return _structure(data, name, dice, others)
    except Exception:  # what was changed can often not be written in its format, or was broken before
        return _bytes(data, dice, others)


def _structure(data: bytes, name: str, dice: Random, others: list[bytes]) -> bytes:
    def inner(content: bytes, of: str) -> bytes:
        return _mutated(content, of, dice, others)

    suffix = Path(name).suffix
    if name.startswith("records-"):
        return containers.frames(data, dice)
    kinds: dict[str, Callable[[], bytes]] = {
        ".parquet": lambda: containers.parquet(data, dice),
        ".npz": lambda: (
            containers.npz(data, dice) if dice.random() < 0.7 else containers.zipped(data, dice, inner)
        ),
        ".pt": lambda: containers.zipped(data, dice, inner),
        ".gz": lambda: containers.gz(data, dice, inner, name),
        ".pickle": lambda: containers.pickled(data, dice),
    }
    if suffix in kinds:
        return kinds[suffix]()
    if name.startswith(("data_batch", "test_batch")):
        return containers.pickled(data, dice)
    text, texts = data.decode(), [other.decode("utf-8", "replace") for other in others]
    if suffix in _TREES and dice.random() < 0.8:
        return mutate_written(text, dice, texts, suffix in (".json", ".mn")).encode("utf-8", "surrogatepass")
    return mutate_lines(text, dice, texts).encode("utf-8", "surrogatepass")


def _bytes(data: bytes, dice: Random, others: list[bytes]) -> bytes:
    changed = bytearray(data)
    at = dice.randrange(len(changed) + 1)
    how = dice.randrange(9)
    if how <= 2 and changed:
        for _ in range(dice.choice([1, 1, 4, 32])):
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    elif how == 3:
        del changed[at:]
    elif how == 4:
        del changed[at : at + dice.choice([1, 4, 64])]
    elif how == 5:
        changed[at:at] = dice.choice(
            [b"\0", b"\xff\xfe", b"\n", b"[" * 20_000, b"\x80" * 9, dice.randbytes(8)]
        )
    elif how == 6 and others:
        changed[at:] = dice.choice(others)[at:]
    elif how == 7:
        changed += changed[:4096]
    else:
        return dice.choice(
            [b"", b"\n", b"null", b"[]", b"{}", data.decode("latin-1").encode("utf-16"), gzip.compress(data)]
        )
    return bytes(changed)


def _something_else(path: Path, dice: Random) -> None:
    path.unlink()
    how = dice.randrange(5)
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    elif how == 2:
        path.symlink_to(path.name)
    elif how == 3:
        path.symlink_to(os.path.relpath(path.parents[_depth(path)] / SECRET, path.parent))


def _depth(path: Path) -> int:
    """How many folders up the one is that holds the inputs' folder."""
    names = [parent.name for parent in path.parents]
    return names.index("in") + 1 if "in" in names else 0
