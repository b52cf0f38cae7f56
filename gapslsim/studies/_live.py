"""What runs under way say of their rounds: a line for each in a file beside the share done, read as it grows.

A file reaches wherever the study's directory does: processes of this machine, and of others on a shared disk. What is
not heard so, the run's tables tell when it ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final

from gapslsim.records import Progress
from gapslsim.regular_files import open_regular

__all__ = ["Hearing", "saying"]

_SUFFIX: Final = ".rounds"
_EVERY_S: Final = 1.0
"""Wall time between two writes."""


def saying(note: str) -> Callable[[Progress], None]:
    """An observer that says each round; a place that cannot be written is let be.

    Args:
        note: file of the run's share done; the rounds lie beside it.
    """
    lines: list[str] = []
    written_at = -_EVERY_S

    def observe(progress: Progress) -> None:
        nonlocal written_at
        lines.append(json.dumps(progress) + "\n")
        if time.monotonic() - written_at < _EVERY_S:
            return
        written_at = time.monotonic()
        try:
            with Path(note + _SUFFIX).open("a", encoding="ascii") as file:
                file.writelines(lines)
        except OSError:
            written_at = float("inf")
        lines.clear()

    return observe


class Hearing:
    """Hears runs under way.

    Args:
        notes: folder of their notes.
        follow: called with a run's label and each of its rounds, in order, from one thread at a time.
    """

    def __init__(self, notes: Path, follow: Callable[[str, Progress], None]) -> None:
        self._notes, self._follow = notes, follow
        self._read: dict[str, int] = {}
        self._guard = Lock()

    def look(self, label: str) -> None:
        """Tells what a run has said since."""
        with self._guard:
            for words in self._new(label):
                self._follow(label, Progress(*words))

    def ended(self, label: str) -> None:
        """Tells the rest, and forgets the run: it may be carried out again, further."""
        self.look(label)
        with self._guard:
            self._read.pop(label, None)
            (self._notes / (label + _SUFFIX)).unlink(missing_ok=True)

    def _new(self, label: str) -> list[Any]:
        begin = self._read.get(label, 0)
        try:
            with open_regular(self._notes / (label + _SUFFIX)) as file:
                file.seek(begin)
                whole, newline, _ = file.read().rpartition(b"\n")
            found = [json.loads(line) for line in whole.splitlines()]
        except (OSError, ValueError):
            return []
        self._read[label] = begin + len(whole) + len(newline)
        return found
