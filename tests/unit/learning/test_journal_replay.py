"""A learner with a journal: what is known is not computed; what is not known is, from the nearest checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.engine import Engine
from gapslsim.learning.journal.journal import Journal, JournalSettings
from gapslsim.learning.learner import Learner
from gapslsim.learning.operations import Operations
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.workers import Workers
from gapslsim.work import Deferred, Keyed, derived_key
from tests.support import Stage, small_setup, stage

MADE_BY = {"gapslsim": "1", "torch": "2"}
VIEWS = ("global", "clients", "ensemble", "local")
SEVERAL = ("client_forwards", "client_backwards")
OPERATIONS = (*SEVERAL, "server_step", "local_training", "evaluate", "average")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each operation of an engine was carried out, and how many engines were made."""
    seen: Counter[str] = Counter()

    def spy(name: str) -> Callable[..., Any]:
        inner = getattr(Engine, name)

        def call(self: Engine, *arguments: Any, **named: Any) -> Any:
            seen[name] += len(arguments[0]) if name in SEVERAL else 1
            return inner(self, *arguments, **named)

        return call

    for name in (*OPERATIONS, "__init__"):
        monkeypatch.setattr(Engine, name, spy(name))
    return seen


def run(setup: LearningSetup, kind: str, n_rounds: int, folder: Path | None, workers: int = 1) -> Stage:
    """Rounds with an evaluation at the end; a checkpoint every two rounds."""
    made = stage(setup, dry=True)
    journal = None
    if folder is not None:
        journal = Journal(
            JournalSettings(folder / "j", checkpoint_every=2),
            setup.key,
            MADE_BY,
            {"name": "n", "framework": kind, "seed": 1},
        )
    learner = Learner(
        setup, lambda: Engine(setup, torch.device("cpu"), torch.float64, workers=workers), journal
    )
    made.learner = made.world.learner = learner
    made.run(frameworks[kind](), n_rounds)
    learner.evaluate(VIEWS)
    if journal is not None:
        journal.close()
    return made


def seen(made: Stage) -> tuple[Any, ...]:
    observed = made.learner.observed
    return observed.losses, observed.alignment, observed.accuracies


@pytest.mark.parametrize("kind", ["gapsl", "sfl", "sl", "fedavg", "epsl"])
def test_a_known_training_is_replayed_without_an_engine(
    kind: str, tmp_path: Path, calls: Counter[str]
) -> None:
    setup = small_setup(3)
    first = run(setup, kind, 4, tmp_path)
    calls.clear()
    second = run(setup, kind, 4, tmp_path)
    assert calls == Counter()
    assert seen(second) == seen(first) == seen(run(setup, kind, 4, None))


def test_a_longer_training_goes_on_from_the_nearest_checkpoint(tmp_path: Path, calls: Counter[str]) -> None:
    setup = small_setup(2)
    run(setup, "psl", 5, tmp_path)
    calls.clear()
    longer = run(setup, "psl", 7, tmp_path)
    # Checkpoints after rounds 2 and 4: round 5 is rebuilt, rounds 6 and 7 are new.
    assert calls["server_step"] == 3
    assert calls["client_forwards"] == calls["client_backwards"] == 6
    assert calls["evaluate"] == 1
    assert seen(longer) == seen(run(setup, "psl", 7, None))


def test_one_unknown_evaluation_costs_the_rounds_since_the_checkpoint_and_no_more(
    tmp_path: Path, calls: Counter[str]
) -> None:
    setup = small_setup(2)
    run(setup, "psl", 8, tmp_path)
    calls.clear()
    journal = Journal(
        JournalSettings(tmp_path / "j", checkpoint_every=2),
        setup.key,
        MADE_BY,
        {"name": "n", "framework": "psl", "seed": 1},
    )
    made = stage(setup, dry=True)
    learner = Learner(setup, lambda: Engine(setup, torch.device("cpu"), torch.float64), journal)
    made.learner = made.world.learner = learner
    made.run(frameworks["psl"](), 3)
    learner.evaluate(VIEWS)
    made.run(frameworks["psl"](), 5)
    learner.evaluate(VIEWS)
    journal.close()
    # Checkpoints after rounds 2, 4, 6 and 8: the evaluation after round 3 needs round 3, and nothing else is computed.
    assert (calls["server_step"], calls["client_backwards"], calls["evaluate"]) == (1, 2, 1)
    assert journal.n_computed == 1


@pytest.mark.parametrize("kind", ["gapsl", "sfl", "sl", "fedavg"])
@pytest.mark.parametrize("workers", [1, 2])
def test_values_are_those_of_a_run_without_a_journal(kind: str, workers: int, tmp_path: Path) -> None:
    setup = small_setup(3)
    run(setup, kind, 3, tmp_path)
    resumed, alone = run(setup, kind, 5, tmp_path, workers), run(setup, kind, 5, None, 3 - workers)
    for client in range(3):
        left, right = resumed.learner.client_state(client), alone.learner.client_state(client)
        assert left.key == right.key
        for a, b in zip(left.value.parameters, right.value.parameters, strict=True):
            assert torch.equal(a, b)
    for a, b in zip(
        resumed.learner.server_state.value.parameters,
        alone.learner.server_state.value.parameters,
        strict=True,
    ):
        assert torch.equal(a, b)


def test_results_that_do_not_repeat_are_told_and_what_was_recorded_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = small_setup(2)
    first = run(setup, "psl", 3, tmp_path)
    step = Engine.server_step

    def other(self: Engine, *arguments: Any, **named: Any) -> Any:
        outcome = step(self, *arguments, **named)
        outcome.losses[0] = outcome.losses[0]._replace(loss=outcome.losses[0].loss * (1 + 2**-40))
        return outcome

    monkeypatch.setattr(Engine, "server_step", other)
    longer = run(setup, "psl", 5, tmp_path)
    journal = longer.learner.journal
    assert journal is not None
    # A checkpoint lies after round 2: round 3 is rebuilt, and is not what it was.
    assert (journal.n_rebuilt, journal.n_differing) == (1, 1)
    assert journal.largest_difference == pytest.approx(2**-40, rel=1e-3)
    (message,) = journal.messages
    assert "1 of 1 operations that were computed again gave other losses" in message
    assert "by 9e-13 of them at most" in message
    assert longer.learner.observed.losses[:6] == first.learner.observed.losses
    assert len(longer.learner.observed.losses) == 10


def test_a_long_chain_is_rebuilt_without_recursion() -> None:
    engine = SimpleNamespace(in_waves=True, stacks_clients=False, workers=Workers(1))
    operations = Operations(cast(Engine, engine), None)
    value: Keyed[int] = operations.keyed("start", 0, (), lambda _: 0)
    for _ in range(5000):
        value = operations.keyed("next", 0, (value,), lambda _, before=value: before.value + 1)  # type: ignore[misc]
    assert value.value == 5000


def test_a_value_lets_go_of_what_it_was_made_from() -> None:
    first: Deferred[int] = Deferred(lambda _: 1, (), lambda wanted: None)
    second: Deferred[int] = Deferred(lambda _: 2, (first,), lambda wanted: None)
    second.settle(2)
    assert (second.value, second.inputs, second.done) == (2, (), True)


def test_derived_keys_differ_by_every_part_and_stay_short() -> None:
    keys = {
        derived_key("a", "b", 1),
        derived_key("a", "b", 11),
        derived_key("a", "c", 1),
        derived_key("b", "b", 1),
    }
    assert len(keys) == 4
    key = "start"
    for _ in range(200):
        key = derived_key(key, "handed")
    assert len(key) <= 300
