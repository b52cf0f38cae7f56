"""Files that this program makes in a training's folder, by name: nothing else there is read, counted or deleted.

A journal may come from elsewhere, with links, pipes and other people's files among its own.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from gapslsim.learning.journal import _checkpoint_info as checkpoint
from gapslsim.locks import claims_of

__all__ = [
    "CHECKPOINTS", "HEADER", "LOCK", "RECORDS", "TURNS", "UNFINISHED", "delete_training", "own_files", "size_of",
]  # fmt: skip

HEADER: Final = "header.json"
LOCK: Final = "lock"
TURNS: Final = "turns"
"""Whose bytes stand for operations under way."""
CHECKPOINTS: Final = re.compile(checkpoint.NAME)
RECORDS: Final = re.compile(r"records-[0-9a-f]{32}\.log")
UNFINISHED: Final = re.compile(rf"\.(header\.json|{checkpoint.NAME})\.[0-9a-f]{{32}}\.partial")
"""What `whole_file` makes of them, left by a writer that was killed."""
CLAIMS: Final = claims_of(rf"{LOCK}|{RECORDS.pattern}")
"""Of holders, where there is no `flock`."""

_ALL: Final = re.compile(
    f"{RECORDS.pattern}|{checkpoint.NAME}|{UNFINISHED.pattern}|{re.escape(HEADER)}|{LOCK}|{TURNS}|{CLAIMS}"
)


def own_files(folder: Path, names: re.Pattern[str] = _ALL) -> list[os.DirEntry[str]]:
    """Regular files of a folder with these names, by name; links are none."""
    found = (entry for entry in os.scandir(folder) if names.fullmatch(entry.name))
    return sorted(
        (entry for entry in found if entry.is_file(follow_symlinks=False)), key=lambda entry: entry.name
    )


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    total = 0
    for entry in own_files(folder):
        with suppress(OSError):  # deleted between listing and asking
            total += entry.stat(follow_symlinks=False).st_size
    return total


def delete_training(folder: Path) -> None:
    """Deletes a training's files, and its folder where nothing else lies in it."""
    # The header is gone last but the lock: a deletion that was broken off leaves a training that can be listed.
    for entry in sorted(own_files(folder), key=lambda entry: (entry.name == LOCK, entry.name == HEADER)):
        Path(entry.path).unlink(missing_ok=True)
    with suppress(OSError):  # Something else lies in it as well.
        folder.rmdir()
