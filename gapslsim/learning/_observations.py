"""What training lets us see: losses, gradient geometry, accuracies. No times; the clock adds them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_type_hints

from gapslsim.learning.judging import Confused, MetricSeen, Predicted
from gapslsim.records import AlignmentRow, GradientRow, LossRow, PairRow, UpdateRow

if TYPE_CHECKING:
    from gapslsim.learning.operation import ServerOutcome

__all__ = [
    "Accuracy", "Observations", "Seen", "geometry_record", "has_losses", "is_of_step", "read_record", "step_record",
]  # fmt: skip


class Accuracy(NamedTuple):
    """Test accuracy of one view; `client` is -1 where the view is one model."""

    round: int
    view: str
    client: int
    accuracy: float
    loss: float


_ROWS: Final[dict[str, Any]] = {
    "losses": LossRow,
    "local_losses": LossRow,
    "alignment": AlignmentRow,
    "accuracies": Accuracy,
    "gradients": GradientRow,
    "updates": UpdateRow,
    "pairwise": PairRow,
    "metrics": MetricSeen,
    "confusion": Confused,
    "predictions": Predicted,
}
_HASHED: Final = ("losses", "alignment", "accuracies", "metrics")


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
            self[name] = [_row(name, given) for given in record[name]]
        self.chunks: dict[str, _Chunk] = {}


_PLAIN: Final[dict[type, Any]] = {int: (int,), float: (float, int), str: (str,), bool: (bool,)}
_TYPES: Final = {name: [_PLAIN[kind] for kind in get_type_hints(row).values()] for name, row in _ROWS.items()}
_FATES: Final = ("train", "zero", "freeze")


def _row(name: str, given: Iterable[Any]) -> Any:
    row = _ROWS[name]._make(given)
    if not all(type(value) in kinds for value, kinds in zip(row, _TYPES[name], strict=True)):
        raise ValueError(name)
    return row


@lru_cache(maxsize=4096)
def read_record(payload: bytes) -> Seen:
    """A record from its JSON text; kept for the next run that replays the same training in this process.

    Raises:
        ValueError: if it is none, in words.
    """
    try:
        record = Seen(json.loads(payload))
        is_sound = (
            type(record["seconds"]) in (float, int)
            and 0 <= record["seconds"] < math.inf
            and all(fate in _FATES for fate in record.get("fates", ()))
            and all(type(value) is float for value in record.get("rule_state", {}).values())
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_sound = False
    if not is_sound:
        raise ValueError("has the right checksum, and does not hold what an operation lets us see")
    return record


def step_record(outcome: ServerOutcome, round: int, clients: tuple[int, ...]) -> dict[str, Any]:
    """What a server step lets us see, as plain values that a journal can write and that come back bit for bit.

    Losses, gradient geometry, each client's fate, what the rule remembers.
    """
    return {
        "losses": outcome.losses,
        "alignment": _alignment_rows(outcome, round, clients),
        "fates": list(outcome.fates),
        "rule_state": {name: float(value) for name, value in outcome.rule_state.items()},
    }


def is_of_step(record: Seen, round: int, clients: tuple[int, ...], trains: bool = True) -> bool:
    """Whether a record tells of a server step with these mini-batches, or of answers to them alone."""
    is_whole = len(record.get("fates", ())) == len(clients) and "rule_state" in record
    return is_whole and has_losses(record, round, clients if trains else ())


def has_losses(record: Seen, round: int, clients: tuple[int, ...], name: str = "losses") -> bool:
    """Whether a record tells the training loss of one mini-batch of each of these clients."""
    told = [(row.round, row.client) for row in record.get(name, ())]
    return told == [(round, client) for client in clients]


def geometry_record(outcome: ServerOutcome) -> dict[str, Any]:
    """The same of a server step whose gradients were measured."""
    assert outcome.geometry is not None
    return outcome.geometry._asdict()


def _alignment_rows(outcome: ServerOutcome, round: int, clients: tuple[int, ...]) -> list[AlignmentRow]:
    """The gradient geometry of one round, as far as the rule has found it."""
    detail = outcome.detail
    if detail is None:
        return []
    of_round = (float(detail.threshold_rad), float(detail.selection_ratio), float(detail.dispersion_rad))
    rows = zip(
        clients, detail.score_rad.tolist(), detail.in_leader_set.tolist(), detail.angle_to_leader_rad.tolist(),
        detail.admitted.tolist(), outcome.reported_losses, detail.gradient_norm.tolist(), strict=True,
    )  # fmt: skip
    return [AlignmentRow._make((round, *row, *of_round)) for row in rows]


class Observations:
    """Rows of one run, in order of the rounds."""

    def __init__(self) -> None:
        self.losses: list[LossRow] = []
        self.local_losses: list[LossRow] = []
        self.alignment: list[AlignmentRow] = []
        self.accuracies: list[Accuracy] = []
        self.gradients: list[GradientRow] = []
        self.updates: list[UpdateRow] = []
        self.pairwise: list[PairRow] = []
        self.metrics: list[MetricSeen] = []
        self.confusion: list[Confused] = []
        self.predictions: list[Predicted] = []
        self.records: list[Mapping[str, Any]] = []
        """One per operation, in the order in which they were seen."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds what one operation let us see, as its record says."""
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
