"""What is broken is found, and told in words: one component or more for every claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gapslsim.checks.check import Outcome, look, sentence_of
from gapslsim.checks.families import invariants_of
from gapslsim.data.partition import partitions
from gapslsim.registry import FAMILIES
from tests.unit.checks import (
    broken_codecs,
    broken_frameworks,
    broken_general,
    broken_learning,
    broken_links,
    broken_losses,
    broken_metrics,
    broken_networks,
    broken_presence,
    broken_rules,
)

MODULES: list[Any] = [
    broken_codecs,
    broken_frameworks,
    broken_general,
    broken_learning,
    broken_links,
    broken_losses,
    broken_metrics,
    broken_networks,
    broken_presence,
    broken_rules,
]
CASES = [case for module in MODULES for case in module.CASES]
NOTES = [case for module in MODULES for case in module.NOTES]


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a case registers is forgotten after it."""
    before = {kind: partitions[kind] for kind in partitions}
    yield
    partitions.members = before


def ids(case: Any) -> str:
    return f"{case[0].__name__}: {case[2]}"


def found(case: Any) -> Outcome:
    claim, make, _ = case
    subject = make()
    owner = getattr(subject, "framework", getattr(subject, "model", subject))
    (outcome,) = look([claim], subject, type(owner), limit_s=0.5 if "0.5 s" in case[2] else 20)
    return outcome


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_what_breaks_a_claim_is_caught_and_told(case: Any) -> None:
    outcome = found(case)
    assert outcome.result == "failed", outcome
    assert case[2] in outcome.words
    assert "Traceback" not in outcome.words


@pytest.mark.parametrize("case", NOTES, ids=ids)
def test_what_may_be_meant_is_noted(case: Any) -> None:
    outcome = found(case)
    assert outcome.result == "note", outcome
    assert case[2] in outcome.words


@pytest.mark.parametrize("make", broken_frameworks.SOUND)
def test_an_unusual_framework_that_is_sound_passes(make: Any) -> None:
    outcomes = look(invariants_of("framework")[3:], make(), Any)  # type: ignore[arg-type]
    assert [outcome for outcome in outcomes if outcome.result == "failed"] == []


def test_every_claim_has_something_that_breaks_it() -> None:
    claims = {claim for family in FAMILIES for claim in invariants_of(family)}
    tried = {case[0] for case in [*CASES, *NOTES]}
    assert sorted(claim.__name__ for claim in claims - tried) == []


def test_every_claim_is_one_sentence() -> None:
    for family in FAMILIES:
        for claim in invariants_of(family):
            sentence = sentence_of(claim)
            assert sentence.endswith(".")
            assert len(sentence) < 130, sentence
