"""The hash of what was learned: of the sorted rows, however they were seen, from a journal or computed."""

from __future__ import annotations

import hashlib
import json
from itertools import permutations

from gapslsim.learning._observations import Accuracy, Observations, read_record
from gapslsim.records import LossRow

LOSSES = [LossRow(r, c, 0.1 * r + c, 4) for r in (1, 2) for c in (0, 1, 2)]
SEEN = [Accuracy(0, "global", -1, 0.5, -0.0), Accuracy(2, "clients", 0, 0.25, 1.5)]


def expected() -> str:
    return hashlib.sha256("".join(repr(tuple(row)) for row in [*LOSSES, *SEEN]).encode()).hexdigest()


def test_records_in_any_order_and_of_any_size_give_the_hash_of_the_sorted_rows() -> None:
    for order in permutations(range(3)):
        observed = Observations()
        for place in order:
            observed.add({"losses": LOSSES[2 * place : 2 * place + 2][::-1]})
        observed.add({"accuracies": SEEN[::-1]})
        assert observed.learning_sha256() == expected()


def test_records_from_a_journal_are_read_once_and_give_the_same_rows_and_hash_in_each_run() -> None:
    payloads = [
        json.dumps({"seconds": 0.5, "losses": LOSSES[:3]}),
        json.dumps({"seconds": 1, "losses": LOSSES[3:], "accuracies": SEEN}),
    ]
    for _ in range(2):
        observed = Observations()
        for payload in payloads:
            record = read_record(payload.encode())
            assert record is read_record(payload.encode())
            observed.add(record)
        assert (observed.losses, observed.accuracies) == (LOSSES, SEEN)
        assert observed.learning_sha256() == expected()
        observed.losses.clear()  # The rows of one run are not those of the next.
