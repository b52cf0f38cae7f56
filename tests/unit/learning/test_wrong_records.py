"""Records of a journal with the right checksum and the wrong content are computed again, and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gapslsim.learning.journal._frames import OBSERVATION, Frame, frame_bytes, scan
from gapslsim.learning.journal.maintenance import prune, verify
from tests.support import small_setup
from tests.unit.learning.test_journal_replay import run

N_ROUNDS = 2


def rewritten(journal: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes every observation in a journal; checksums are right again."""
    for file in journal.glob("training-*/records-*.log"):
        data, parts, at = file.read_bytes(), [], 0
        for found in scan(data):
            assert isinstance(found, Frame)
            payload, end = data[found.start : found.start + found.length], found.start + found.length
            changed = change(json.loads(payload)) if found.checkpoint is None else None
            if changed is None:
                parts.append(data[at:end])
            else:
                text = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
                parts.append(frame_bytes(OBSERVATION, found.key, text))
            at = end
        file.write_bytes(b"".join(parts))


def changed(**entries: Any) -> Callable[[dict[str, Any]], Any]:
    """Entries of server steps (or of evaluations, where they alone have one) are others; `...` takes one away."""

    def change(record: dict[str, Any]) -> Any:
        if not entries.keys() & record.keys():
            return None
        return {name: value for name, value in (record | entries).items() if value is not ...}

    return change


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no JSON": lambda record: b"\xff{",
    "deep": lambda record: b"[" * 100_000,
    "a list": lambda record: [record],
    "without its time": changed(seconds=...),
    "a time that is none": changed(seconds="1"),
    "NaN seconds": changed(seconds=float("nan")),
    "no losses": changed(losses=None),
    "losses of text": changed(losses=["abcd"]),
    "short losses": changed(losses=[[1, 0, 0.5]]),
    "losses of another round": changed(losses=[[9, 0, 0.5, 4]]),
    "without fates": changed(fates=...),
    "an unknown fate": changed(fates=["fire", "fire"]),
    "too few fates": changed(fates=["train"]),
    "no rule's state": changed(rule_state=[1]),
    "a state of text": changed(rule_state={"nu_min": "much"}),
    "no accuracies": changed(accuracies=...),
    "accuracies of another type": changed(accuracies=[[1, "global", "x", 0.5, 0.5]]),
    "of another operation": lambda record: {"seconds": 1.0, "gradients": []},
}


@pytest.fixture(scope="module")
def setup() -> Any:
    return small_setup()


@pytest.fixture(scope="module")
def right(setup: Any) -> str:
    """Hash of the training without a journal."""
    return run(setup, "gapsl", N_ROUNDS, None).learner.observed.learning_sha256()


@pytest.mark.parametrize("what", WRONG)
def test_a_training_goes_on_past_records_that_hold_something_else(tmp_path, setup, right, what):
    run(setup, "gapsl", N_ROUNDS, tmp_path)
    rewritten(tmp_path / "j", WRONG[what])
    again = run(setup, "gapsl", N_ROUNDS, tmp_path)
    assert again.learner.observed.learning_sha256() == right
    assert any("something else than they should" in told for told in again.learner.journal.messages)
    n_computed = again.learner.journal.n_computed
    assert n_computed > 0
    prune(tmp_path / "j")


def test_such_records_are_told_when_a_journal_is_verified(tmp_path, setup):
    run(setup, "gapsl", 1, tmp_path)
    assert verify(tmp_path / "j")[1] == []
    rewritten(tmp_path / "j", changed(losses=3))
    problems = verify(tmp_path / "j")[1]
    assert problems
    assert all("has the right checksum, and does not hold" in problem for problem in problems)


def test_a_damaged_header_is_written_again_and_its_records_are_used(tmp_path, setup, right):
    run(setup, "gapsl", N_ROUNDS, tmp_path)
    (header,) = (tmp_path / "j").glob("training-*/header.json")
    whole = header.read_text()
    header.write_text(whole.replace(setup.key[:6], "abcdef"))
    assert any("header.json: is damaged" in problem for problem in verify(tmp_path / "j")[1])
    again = run(setup, "gapsl", N_ROUNDS, tmp_path)
    assert (again.learner.journal.n_computed, header.read_text()) == (0, whole)
    assert again.learner.observed.learning_sha256() == right
    assert any("header.json is damaged" in told for told in again.learner.journal.messages)
