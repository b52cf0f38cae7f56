"""What training lets us see: losses, gradient geometry, accuracies. No times; the clock adds them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gapslsim.records import AlignmentRow, GradientRow, LossRow, PairRow, UpdateRow

__all__ = ["Accuracy", "Observations", "Seen", "read_record"]


class Accuracy(NamedTuple):
    """Test accuracy of one view; `client` is -1 where the view is one model."""

    round: int
    view: str
    client: int
    accuracy: float
    loss: float


_ROWS: Final[dict[str, Any]] = {
    "losses": LossRow,
    "alignment": AlignmentRow,
    "accuracies": Accuracy,
    "gradients": GradientRow,
    "updates": UpdateRow,
    "pairwise": PairRow,
}
_HASHED: Final = ("losses", "alignment", "accuracies")


class _Chunk(NamedTuple):
    """What one record adds to the hash of a table."""

    first: tuple[int, str, int]
    last: tuple[int, str, int]
    text: bytes


class Seen(dict[str, Any]):
    """What one operation let us see, as a journal has it. Shared by all runs that replay it: never changed."""

    __slots__ = ("chunks",)

    def __init__(self, record: Mapping[str, Any]) -> None:
        super().__init__(record)
        for name in _ROWS.keys() & record.keys():
            self[name] = list(map(_ROWS[name]._make, record[name]))
        self.chunks: dict[str, _Chunk] = {}


@lru_cache(maxsize=4096)
def read_record(payload: bytes) -> Seen:
    """A record from its JSON text; kept for the next run that replays the same training in this process."""
    return Seen(json.loads(payload))


class Observations:
    """Rows of one run, in order of the rounds."""

    def __init__(self) -> None:
        self.losses: list[LossRow] = []
        self.alignment: list[AlignmentRow] = []
        self.accuracies: list[Accuracy] = []
        self.gradients: list[GradientRow] = []
        self.updates: list[UpdateRow] = []
        self.pairwise: list[PairRow] = []
        self.records: list[Mapping[str, Any]] = []
        """One per operation, in the order in which they were seen."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds what one operation let us see, as its record says; see `recording`."""
        self.records.append(record)
        for name in _ROWS.keys() & record.keys():
            getattr(self, name).extend(record[name])

    def mean_loss(self, round: int) -> float:
        """Mean training loss over the participants of a round; NaN if there is none."""
        values = []
        for row in reversed(self.losses):
            if row.round != round:
                break
            values.append(row.loss)
        return sum(sorted(values)) / len(values) if values else math.nan

    def learning_sha256(self) -> str:
        """Hash of every loss and metric, independent of the order in which simultaneous ones were seen.

        Without the geometry of gradients: whether it is measured is of no account to training.
        """
        digest = hashlib.sha256()
        for name in _HASHED:
            chunks = [_chunk(record, name) for record in self.records if record.get(name)]
            if all(before.last <= after.first for before, after in pairwise(chunks)):
                digest.update(b"".join([chunk.text for chunk in chunks]))
            else:
                digest.update(_text(sorted(getattr(self, name), key=_place)))
        return digest.hexdigest()


def _chunk(record: Mapping[str, Any], name: str) -> _Chunk:
    known = record.chunks.get(name) if isinstance(record, Seen) else None
    if known is None:
        rows = sorted(record[name], key=_place)
        known = _Chunk(_place(rows[0]), _place(rows[-1]), _text(rows))
        if isinstance(record, Seen):
            record.chunks[name] = known
    return known


def _place(row: Any) -> tuple[int, str, int]:
    return row.round, getattr(row, "view", ""), row.client


def _text(rows: Iterable[Any]) -> bytes:
    return "".join([repr(tuple(row)) for row in rows]).encode()
