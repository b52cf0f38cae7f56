"""What holds for every aggregator of TorchJD as a server's rule, those that TorchJD adds later too."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gapslsim.errors import NumericalError
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.rules._torchjd_memory import MEMORIES
from gapslsim.frameworks.rules.server_update.torchjd import TorchjdUpdate, aggregators
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.engine import Engine
from gapslsim.learning.journal.journal import Journal, JournalSettings
from gapslsim.learning.learner import Learner
from tests.support import Stage, small_setup, stage
from tests.unit.frameworks.rules.support_rules import gradients
from tests.unit.learning.reference_equations import family

REQUIRED: dict[str, dict[str, Any]] = {
    "CAGrad": {"c": 0.4},
    "Constant": {"weights": [0.1, 0.2, 0.3, 0.2, 0.2]},
    "FairGrad": {"alpha": 1.0},
    "Krum": {"n_byzantine": 1},
    "TrimmedMean": {"trim_number": 1},
}
"""Parameters without a default, for five clients."""
EVERY = sorted(aggregators())
FEWEST = {"Krum": 4, "TrimmedMean": 3, "NashMTL": 2, "Constant": 5}
"""Clients that an aggregator needs at least, where that is more than one."""
ROWS = torch.from_numpy(family("random", 5, 9, seed=1))
VIEWS = ("global", "clients")


def rule(name: str, **more: Any) -> TorchjdUpdate:
    made = server_updates["torchjd"](aggregator=name, parameters=REQUIRED.get(name, {}), **more)
    assert isinstance(made, TorchjdUpdate)
    return made


def along(rule: TorchjdUpdate, n_rounds: int, memory: Mapping[str, Tensor] | None = None) -> list[Tensor]:
    """Updates of several rounds, each with gradients of its own."""
    updates, memory = [], memory or {}
    for round in range(1, n_rounds + 1):
        rows = torch.from_numpy(family("random", 5, 9, seed=round))
        decided = rule.decide(gradients(rows, round=round, seed=round, memory=memory))
        updates.append(decided.update)
        memory = decided.memory
    return updates


def framework(name: str) -> Any:
    return frameworks["parallel"](
        server_update={"kind": "torchjd", "aggregator": name, "parameters": REQUIRED.get(name, {})}
    )


def run(name: str, n_rounds: int, folder: Path | None = None, workers: int = 1) -> Stage:
    """Rounds and an evaluation; with a journal, a checkpoint every two rounds."""
    setup = small_setup(5)
    made = stage(setup, dry=True)
    settings = JournalSettings(folder, checkpoint_every=2) if folder else None
    journal = Journal(settings, setup.key, {}, {}) if settings else None
    learner = Learner(
        setup, lambda: Engine(setup, torch.device("cpu"), torch.float64, workers=workers), journal
    )
    made.learner = made.world.learner = learner
    made.run(framework(name), n_rounds)
    learner.evaluate(VIEWS)
    if journal is not None:
        journal.close()
    return made


def seen(made: Stage) -> tuple[Any, ...]:
    return made.learner.observed.losses, made.learner.observed.accuracies


@pytest.mark.parametrize("name", EVERY)
def test_deciding_is_pure_and_memory_is_never_written_to(name: str) -> None:
    first = rule(name).decide(gradients(ROWS, seed=3))
    kept = {key: value.clone() for key, value in first.memory.items()}
    again = [rule(name).decide(gradients(ROWS.clone(), seed=4, memory=first.memory)) for _ in range(2)]
    assert torch.equal(again[0].update, again[1].update)
    assert first.update.isfinite().all()
    assert {key: value.tolist() for key, value in kept.items()} == {
        key: value.tolist() for key, value in first.memory.items()
    }


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_left_as_they_are(name: str) -> None:
    rows = ROWS.clone()
    rule(name).decide(gradients(rows))
    assert torch.equal(rows, ROWS)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_comes_of_zero_gradients_and_nothing_is_remembered_of_them(name: str) -> None:
    before = rule(name).decide(gradients(ROWS)).memory
    decided = rule(name).decide(gradients(torch.zeros_like(ROWS), memory=before))
    assert decided.update.tolist() == [0.0] * 9
    assert decided.memory.keys() == before.keys()
    assert all(torch.equal(decided.memory[key], before[key]) for key in before)


@pytest.mark.parametrize("name", EVERY)
def test_one_zero_gradient_among_others_is_no_trouble(name: str) -> None:
    rows = ROWS.clone()
    rows[2] = 0
    assert rule(name).decide(gradients(rows)).update.isfinite().all()


@pytest.mark.parametrize("name", EVERY)
def test_identical_gradients_give_their_own_direction(name: str) -> None:
    update = rule(name).decide(gradients(ROWS[:1].expand(5, -1).clone())).update
    cosine = torch.nn.functional.cosine_similarity(update, ROWS[0], dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_a_single_client_is_followed_or_refused_in_words(name: str) -> None:
    if name in FEWEST:
        (problem,) = rule(name).problems(1, 1)
        assert f"aggregator {name} does not work with the gradients of 1 clients" in problem
        with pytest.raises(NumericalError, match=f"TorchJD's {name} finds no update"):
            rule(name).decide(gradients(ROWS[:1]))
        return
    assert rule(name).problems(1, 1) == []
    update = rule(name).decide(gradients(ROWS[:1])).update
    cosine = torch.nn.functional.cosine_similarity(update, ROWS[0], dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", sorted(FEWEST))
def test_the_fewest_clients_are_enough(name: str) -> None:
    assert rule(name).problems(FEWEST[name], FEWEST[name]) == []


@pytest.mark.parametrize("name", EVERY)
def test_rescaled_to_the_mean_the_direction_stays(name: str) -> None:
    own = rule(name).decide(gradients(ROWS)).update
    scaled = rule(name, length="mean").decide(gradients(ROWS)).update
    assert float(scaled.norm()) == pytest.approx(float(ROWS.mean(0).norm()))
    torch.testing.assert_close(scaled / scaled.norm(), own / own.norm())


@pytest.mark.parametrize("name", sorted(MEMORIES))
def test_memory_put_back_gives_what_a_kept_aggregator_gives(name: str) -> None:
    parameters = {"NashMTL": {"n_tasks": 5, "update_weights_every": 3}, "ExcessMTL": {"n_warmup_steps": 2}}
    mine = server_updates["torchjd"](aggregator=name, parameters=parameters.get(name, {}))
    assert isinstance(mine, TorchjdUpdate)
    kept = aggregators()[name](**parameters.get(name, {}))
    memory: Mapping[str, Tensor] = {}
    for round in range(1, 7):
        rows = torch.from_numpy(family("random", 5, 9, seed=round))
        given = gradients(rows, round=round, seed=round, memory=memory)
        torch.manual_seed(int(gradients(rows, seed=round).random.integers(2**63)))
        decided = mine.decide(given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of the solver of NashMTL.
            want = kept(rows)
        assert torch.equal(decided.update, want), round
        memory = decided.memory


@pytest.mark.parametrize("name", sorted(MEMORIES))
def test_memory_matters(name: str) -> None:
    with_memory, without = along(rule(name), 3)[-1], rule(name)
    rows = torch.from_numpy(family("random", 5, 9, seed=3))
    fresh = without.decide(gradients(rows, round=3, seed=3)).update
    assert not torch.equal(with_memory, fresh)


@pytest.mark.parametrize("name", sorted(MEMORIES))
def test_memory_needs_the_same_clients_in_every_round(name: str) -> None:
    (problem,) = rule(name).problems(10, 5)
    assert "all must take part in every round" in problem
    assert "participation: everyone" in problem


@pytest.mark.parametrize("name", EVERY)
def test_a_training_repeats_itself_with_any_number_of_workers(name: str) -> None:
    states = [run(name, 3, workers=workers).learner.server_state.value for workers in (1, 3)]
    for left, right in zip(*(state.parameters for state in states), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("name", EVERY)
def test_a_training_resumes_and_is_replayed_exactly(name: str, tmp_path: Path) -> None:
    # Killed after round 3; the checkpoint is of round 2.
    run(name, 3, tmp_path / "j")
    resumed = run(name, 6, tmp_path / "j")
    whole = run(name, 6)
    assert seen(resumed) == seen(whole)
    assert resumed.learner.server_state.key == whole.learner.server_state.key
    replayed = run(name, 6, tmp_path / "j")
    assert seen(replayed) == seen(whole)
    for left, right in zip(
        replayed.learner.server_state.value.parameters,
        whole.learner.server_state.value.parameters,
        strict=True,
    ):
        assert torch.equal(left, right)
