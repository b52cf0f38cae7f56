"""Passes of several clients at once: those of one client at a time, whoever is computed together."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gapslsim.frameworks.framework import frameworks
from gapslsim.learning import engine as engine_module
from gapslsim.learning.engine import Engine
from gapslsim.learning.operation import Answer, ClientBackward, ClientForward, MiniBatch
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.models.zoo.cnn import Cnn
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.work import Keyed
from tests.support import Stage, sgd, small_setup, stage

FRAMEWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "psl": ("psl", {}),
    "sfl": ("sfl", {}),
    "epsl": ("epsl", {}),
    "frozen": ("psl", {"client_update": "frozen"}),
    "proximal": ("psl", {"client_update": {"kind": "proximal", "mu": 0.1}}),
    "gapsl, the excluded freeze": ("gapsl", {"eta": 0.3}),
    "gapsl, the excluded get zeros": ("gapsl", {"eta": 0.3, "excluded": "zero"}),
    "sampled": ("psl", {"participation": {"kind": "sample", "k": 3}}),
    "vanilla SL": ("sl", {}),
}


def setup(n_clients: int = 6, **more: Any) -> LearningSetup:
    settings: dict[str, Any] = {
        "n_train": 90,
        "batch_size": 4,
        "input_shape": (1, 8, 8),
        "model": Cnn(channels=(4, 4), cut=1),
        "client": sgd(0.1, momentum=0.9),
    }
    return small_setup(n_clients, **(settings | more))


def run(one: LearningSetup, kind: str, n_rounds: int = 4, **options: Any) -> Stage:
    made = stage(one)
    made.run(frameworks[kind](**options), n_rounds)
    return made


def weights(made: Stage) -> list[torch.Tensor]:
    learner = made.learner
    states = [learner.client_state(client).value for client in range(learner.setup.n_clients)]
    return [p for state in (*states, learner.server_state.value) for p in state.parameters]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_weights_are_those_of_one_client_at_a_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, options = FRAMEWORKS[name]
    together = run(setup(), kind, **options)
    assert together.engine is not None
    assert together.engine.stacks_clients
    monkeypatch.setattr(engine_module, "stacked_client_samples", lambda *_: 0)
    alone = run(setup(), kind, **options)
    assert alone.engine is not None
    assert not alone.engine.stacks_clients
    for left, right in zip(weights(together), weights(alone), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


def test_batches_of_unlike_size_are_stacked_with_their_like(monkeypatch: pytest.MonkeyPatch) -> None:
    uneven = setup(n_train=20)
    assert {uneven.batches.size(client) for client in range(6)} == {3, 4}
    together = run(uneven, "psl")
    monkeypatch.setattr(engine_module, "stacked_client_samples", lambda *_: 0)
    for left, right in zip(weights(together), weights(run(uneven, "psl")), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize("most", [8, 12, 1000])
def test_groups_of_any_size_give_the_same_bits(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(setup(), "gapsl", eta=0.3)
    monkeypatch.setattr(engine_module, "stacked_client_samples", lambda *_: most)
    parts = run(setup(), "gapsl", eta=0.3)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(parts), strict=True))


def forwards(made: Engine, steps: list[tuple[int, int]]) -> list[ClientForward]:
    initial = Keyed("initial", 0, made.initial("client"))
    return [
        ClientForward(
            MiniBatch(client, step, 4, f"client-{client}", f"f{client}.{step}", initial), initial.value
        )
        for client, step in steps
    ]


def backwards(
    calls: list[ClientForward], initial: SideState, fates: dict[int, Any] | None = None
) -> list[ClientBackward]:
    rule = frameworks["psl"]().client_update  # type: ignore[attr-defined]
    made = []
    for call in calls:
        client = call.batch.client
        random = torch.Generator().manual_seed(client)
        own: Any = Keyed(f"g{client}", 0, torch.randn(4, 4, 4, 4, generator=random, dtype=torch.float64))
        answer = Answer(call.batch, own, None, 0, (fates or {}).get(client, "train"))
        made.append(ClientBackward(answer, call.state, rule, initial))
    return made


def equal(one: SideState, other: SideState) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters, other.parameters, strict=True))


def test_a_client_ends_with_the_same_bits_whoever_goes_back_with_it_and_whether_its_tape_is_left() -> None:
    def fresh() -> Engine:
        return Engine(setup(), torch.device("cpu"), torch.float64)

    made = fresh()
    calls = forwards(made, [(client, 0) for client in range(6)])
    whole = made.client_forwards(calls)
    back = backwards(calls, made.initial("client"))
    expected = made.client_backwards(back)

    other = fresh()
    alone = [other.client_forwards([call])[0] for call in calls]
    for call in calls:
        call.batch.tape = None
    assert all(torch.equal(a.activations, b.activations) for a, b in zip(whole, alone, strict=True))
    for chosen in ([0, 1, 2, 3, 4, 5], [4], [5, 1], [2, 0, 3]):
        for kept in (True, False):  # kept: the tape of all six; else passes are made again
            other = fresh()
            if kept:
                other.client_forwards(calls)
            else:
                assert all(call.batch.tape is None for call in calls)
            found = other.client_backwards([back[i] for i in chosen])
            assert all(equal(state, expected[i]) for state, i in zip(found, chosen, strict=True))
            rest = [i for i in range(6) if i not in chosen]
            assert all(
                equal(state, expected[i])
                for state, i in zip(other.client_backwards([back[i] for i in rest]), rest, strict=True)
            )
            assert all(call.batch.tape is None for call in calls)


def test_several_steps_of_one_client_may_be_asked_for_at_once() -> None:
    made = Engine(setup(), torch.device("cpu"), torch.float64)
    calls = forwards(made, [(0, 0), (1, 0), (0, 1), (1, 1)])
    together = made.client_forwards(calls)
    for call, smashed in zip(calls, together, strict=True):
        (alone,) = made.client_forwards([call])
        assert torch.equal(alone.activations, smashed.activations)
        assert torch.equal(alone.labels, smashed.labels)


def test_a_frozen_client_keeps_its_state_and_loses_its_tape() -> None:
    made = Engine(setup(), torch.device("cpu"), torch.float64)
    calls = forwards(made, [(0, 0), (1, 0)])
    made.client_forwards(calls)
    begun = made.initial("client")
    first, second = made.client_backwards(backwards(calls, begun, {0: "freeze"}))
    assert equal(first, begun)
    assert not equal(second, begun)
    assert all(call.batch.tape is None for call in calls)


def test_small_models_are_stacked_and_large_ones_are_not() -> None:
    def stacks(**settings: Any) -> bool:
        return Engine(setup(**settings), torch.device("cpu")).stacks_clients

    assert stacks()
    assert stacks(model=Mlp(hidden=(8, 8), cut=1))
    assert not stacks(model=Cnn(channels=(64, 64, 64), cut=2), input_shape=(3, 16, 16), batch_size=32)
    assert not stacks(model=Cnn(channels=(4, 4), cut=1, norm="batch"))
