"""Early stopping: a run ends when it has not got better for some evaluations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from gapslsim import Results, ScenarioError, load_dict, simulate
from gapslsim.milestones import Milestones, Position
from gapslsim.scenario.limits import Every, Patience, Stop
from tests.worlds import small_scenario

HERE = Position(1, 0.1, 1.0)


def scenario(patience: Any, lr: float = 0.05, evaluation: Any = None, **stop: Any) -> Any:
    training = {"batch_size": 8, "client": {"optimizer": "sgd", "lr": lr}}
    given = {"every": "1 round", "metrics": ["perplexity"], **(evaluation or {})}
    return small_scenario(
        training=training, evaluation=given, stop={"rounds": None, "patience": patience, **stop}
    )


def run(*given: Any, **more: Any) -> Results:
    return simulate(load_dict(scenario(*given, **more)))


def ends_at(values: list[float], patience: Patience, greater_is_better: bool = True) -> int | None:
    """After how many evaluations."""
    milestones = Milestones(Every(1, "rounds"), Stop(patience=patience), None, greater_is_better)
    for n, value in enumerate(values, 1):
        milestones.note(value)
        if milestones.stopped_by(HERE, None):
            return n
    return None


@pytest.mark.parametrize(
    ("values", "greater", "by", "ends"),
    [
        ([0.1, 0.2, 0.2, 0.2], True, 0, 4),
        ([0.1, 0.2, 0.15, 0.3, 0.1, 0.2], True, 0, 6),
        ([0.1, 0.2, 0.15, 0.3, 0.31, 0.2], True, 0, None),
        ([2.0, 1.0, 1.5, 1.0], False, 0, 4),
        ([2.0, 1.0, 0.9, 1.5], False, 0, None),
        ([0.1, 0.25, 0.3, 0.35], True, 0.125, 4),
        ([0.1, 0.25, 0.3, 0.4], True, 0.125, None),
        ([0.5, float("nan"), float("nan")], True, 0, 3),
        ([float("nan"), 0.5, 0.6], True, 0, None),
    ],
)
def test_it_ends_after_two_evaluations_that_are_no_better(
    values: list[float], greater: bool, by: float, ends: int | None
) -> None:
    assert ends_at(values, Patience(evaluations=2, by=by), greater) == ends


def test_a_run_that_learns_nothing_ends_after_as_many_evaluations_as_it_is_given() -> None:
    results = run({"evaluations": 3}, lr=1e-12)
    assert len(results.rounds) == 3
    assert results.summary["stopped_by"] == "3 evaluations without a better accuracy in the global view"
    assert results.evaluations["round"].unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("of", "better"), [("loss", "min"), ("perplexity", "min"), ("accuracy", "max")])
def test_it_ends_where_the_table_says_that_nothing_got_better(of: str, better: str) -> None:
    results = run({"evaluations": 2, "of": of, "view": "clients"}, lr=0.6, rounds=60)
    values = results.evaluations.query("view == 'clients'").groupby("round")[of].mean().tolist()
    assert len(values) < 60
    best = [min(values[:n]) if better == "min" else -max(values[:n]) for n in range(1, len(values) + 1)]
    signed = [value if better == "min" else -value for value in values]
    no_better = [n > 0 and signed[n] >= best[n - 1] - 1e-15 for n in range(len(values))]
    assert no_better[-2:] == [True, True]
    assert not any(a and b for a, b in pairwise(no_better[:-1]))


def test_a_run_that_gets_better_ends_by_its_other_limits() -> None:
    results = run({"evaluations": 2, "of": "loss"}, rounds=4)
    assert results.summary["stopped_by"] == "4 rounds"


def test_a_protocol_without_barriers_is_ended_too() -> None:
    made = scenario({"evaluations": 2}, lr=1e-12) | {"framework": {"kind": "async_sl"}}
    results = simulate(load_dict(made))
    assert len(results.evaluations.query("view == 'global'")) == 3


@pytest.mark.parametrize(
    ("patience", "told"),
    [
        ({"evaluations": 0}, "stop.patience.evaluations"),
        ({"evaluations": 1.5}, "stop.patience.evaluations"),
        ({"evaluations": "3 rounds"}, "stop.patience.evaluations"),
        ({}, "stop.patience.evaluations"),
        (3, "stop.patience"),
        ("3 evaluations", "stop.patience"),
        ({"evaluations": 2, "of": "f1"}, "add it to evaluation.metrics"),
        ({"evaluations": 2, "of": "perplexty"}, "Did you mean 'perplexity'?"),
        ({"evaluations": 2, "of": 1}, "stop.patience.of"),
        ({"evaluations": 2, "view": "globl"}, "stop.patience.view"),
        ({"evaluations": 2, "view": "local"}, "not among evaluation.views"),
        ({"evaluations": 2, "by": -0.1}, "stop.patience.by"),
        ({"evaluations": 2, "by": "little"}, "stop.patience.by"),
        ({"evaluation": 2}, "Did you mean 'evaluations'?"),
    ],
)
def test_patience_that_cannot_be_is_refused_with_its_place_and_fix(patience: Any, told: str) -> None:
    with pytest.raises(ScenarioError) as error:
        load_dict(scenario(patience, evaluation={"views": ["global", "clients"]}))
    assert told in str(error.value)
    assert "stop.patience" in str(error.value)
