"""The engine: the same bits whatever the number of workers, bounded memory, errors that name who."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from gapslsim.errors import NumericalError
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.engine import Engine
from gapslsim.learning.learner import Learner
from gapslsim.learning.messages import Smashed
from gapslsim.learning.operation import ClientForward
from gapslsim.learning.workers import intra_op_threads
from gapslsim.models.zoo.cnn import Cnn
from tests.support import Stage, sgd, small_setup, stage


def run(kind: str, workers: int, n_rounds: int = 3, **setting: Any) -> Stage:
    setup = small_setup(
        5,
        n_train=60,
        batch_size=4,
        input_shape=(1, 8, 8),
        model=Cnn(channels=(4, 4), cut=1),
        client=sgd(0.1, momentum=0.9),
    )
    made = stage(setup)
    engine = Engine(setup, torch.device("cpu"), torch.float64, workers=workers)
    made.learner = made.world.learner = Learner(setup, engine)
    made.engine = engine
    made.run(frameworks[kind](**setting), n_rounds)
    made.learner.evaluate(("global", "clients", "ensemble", "local"))
    return made


@pytest.mark.parametrize("kind", ["psl", "gapsl", "epsl", "sfl", "fedavg", "sl"])
def test_the_number_of_workers_changes_no_bit(kind: str) -> None:
    one, four = run(kind, 1), run(kind, 4)
    assert one.learner.observed.learning_sha256() == four.learner.observed.learning_sha256()
    for client in range(5):
        left, right = (s.learner.client_state(client).value for s in (one, four))
        assert all(torch.equal(a, b) for a, b in zip(left.parameters, right.parameters, strict=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_lie_channels_last_in_memory_and_are_the_same(channels: int) -> None:
    setup = small_setup(2, input_shape=(channels, 4, 4), model=Cnn(channels=(4,), cut=1), n_train=20)
    engine = Engine(setup, torch.device("cpu"), torch.float64)
    assert engine._inputs.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(engine._inputs.numpy(), setup.data.train.inputs.astype(np.float64))
    _, (inputs, labels) = engine._batches([(0, 2), (1, 0)])
    rows = setup.batches.indices(1, 0)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(inputs.numpy(), setup.data.train.inputs[rows].astype(np.float64))
    np.testing.assert_array_equal(labels.numpy(), setup.data.train.labels[rows])


def test_a_thousand_clients_of_which_twenty_take_part_share_the_state_of_the_rest() -> None:
    setup = small_setup(1000, n_train=2000, batch_size=2)
    made = stage(setup)
    made.run(frameworks["psl"](participation={"kind": "sample", "k": 20}), 3)
    assert made.engine is not None
    states = {id(made.learner.client_state(client).value.parameters) for client in range(1000)}
    assert 21 <= len(states) <= 61  # the common initial one, and of those who took part
    evaluated: list[int] = []
    predict = made.engine.client.predict
    made.engine.client.predict = lambda *a: (evaluated.append(1), predict(*a))[1]  # type: ignore[assignment, func-returns-value]
    made.learner.evaluate(("clients",))
    assert len(evaluated) == len(states)


def test_tapes_of_clients_that_never_train_go_with_their_mini_batches() -> None:
    setup = small_setup(50, n_train=100, batch_size=2)
    made = stage(setup)
    frozen = frameworks["psl"](client_update="frozen", participation={"kind": "sample", "k": 4})
    assert made.engine is not None
    tapes: list[weakref.ref[Any]] = []
    forwards = made.engine.client_forwards

    def noting(calls: Sequence[ClientForward]) -> list[Smashed]:
        smashed = forwards(calls)
        tapes.extend(weakref.ref(call.batch.tape) for call in calls)
        return smashed

    made.engine.client_forwards = noting  # type: ignore[method-assign]
    made.run(frozen, 6)
    assert len(tapes) == 24
    assert sum(tape() is not None for tape in tapes) <= 4


@pytest.mark.parametrize("kind", ["psl", "gapsl"])
def test_a_gradient_that_is_not_finite_names_its_client(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = small_setup(3, n_train=30)
    made = stage(setup)
    assert made.engine is not None
    forwards = made.engine.client_forwards

    def broken(calls: Sequence[ClientForward]) -> list[Smashed]:
        made = forwards(calls)
        for call, smashed in zip(calls, made, strict=True):
            if call.batch.client == 1:
                smashed.activations[:] = float("nan")
        return made

    monkeypatch.setattr(made.engine, "client_forwards", broken)
    with pytest.raises(NumericalError, match="round 1, client 1"):
        made.run(frameworks[kind](), 1)


def test_threads_are_set_for_a_while() -> None:
    before = torch.get_num_threads()
    with intra_op_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
