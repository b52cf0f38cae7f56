"""A check compares what a round takes here to what a profile says, operation by operation."""

from __future__ import annotations

from copy import copy

import pytest

from gapslsim.errors import ProtocolError
from gapslsim.frameworks.framework import Framework, FreeFramework
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.rules import CutGradient
from gapslsim.measuring.check import OperationCheck, check_round
from gapslsim.registry import component
from gapslsim.run import simulate
from gapslsim.scenario.loading import loads
from tests.support import RateDevice
from tests.unit.measuring.fakes import FakeClock

SCENARIO = """
name: tiny
data: {kind: synthetic, input_shape: [6], n_classes: 3, n_train: 60, n_test: 6, partition: {kind: iid}}
model: {kind: mlp, hidden: [4], cut: 1}
framework: {kind: psl}
training: {batch_size: 5, client: {optimizer: sgd, lr: 0.01}}
server: {device: laptop-cpu}
clients: [{count: 3, device: laptop-cpu, link: wifi}]
network: {kind: star}
stop: {rounds: 5}
"""


def test_every_operation_of_a_round_is_timed_and_predicted_from_its_cost() -> None:
    # each reading moves the clock by 0.5 s, so that every part takes 0.5 s here: at the server, a pass and the rule
    result = check_round(loads(SCENARIO), RateDevice(rate=1e6), 1, 4, clock=FakeClock(tick=0.5))
    rows = {row.operation: row for row in result.operations}
    assert {name: (row.n_per_round, row.measured_s) for name, row in rows.items()} == {
        "client_forward": (3, 1.5),
        "server_step": (1, 1.0),
        "client_backward": (3, 1.5),
    }
    # forward at the client: 2 * 6 * 4 FLOP per sample and a ReLU of 4, 5 samples, 3 clients, 1 MFLOP/s
    assert rows["client_forward"].predicted_s == pytest.approx(3 * 5 * (48 + 4) / 1e6)
    assert result.total.measured_s == 4.0
    assert result.total.predicted_s == pytest.approx(sum(row.predicted_s for row in rows.values()))
    assert result.n_rounds == 4


def per_round(framework: str, rounds: int = 4) -> dict[str, tuple[float, float]]:
    """Number and seconds per round of each operation; every part takes 0.5 s."""
    text = SCENARIO.replace("{kind: psl}", framework)
    result = check_round(loads(text), RateDevice(rate=1e6), 1, rounds, clock=FakeClock(tick=0.5))
    return {row.operation: (row.n_per_round, row.measured_s) for row in result.operations}


JOINED = {"client_forward": (3, 1.5), "server_step": (1, 1.0), "client_backward": (3, 1.5)}
PER_CLIENT = JOINED | {"server_step": (1, 2.0)}
"""A pass for each client and the rule."""


def test_parallel_frameworks_are_checked_as_if_every_client_trained() -> None:
    assert per_round("{kind: gapsl, excluded: freeze, eta: 0}") == PER_CLIENT
    assert per_round("{kind: psl}\nclock: {server: {computes: per_client}}") == PER_CLIENT
    assert per_round("{kind: sfl}") == JOINED | {"average": (1, 0.5)}


def test_the_server_of_vanilla_split_learning_takes_a_step_for_every_client() -> None:
    # 3 clients with 2 steps each; at the server a pass and the rule
    assert per_round("{kind: sl, local_steps: 2}") == {
        "client_forward": (6, 3.0), "server_step": (6, 6.0), "client_backward": (6, 3.0),
    }  # fmt: skip


def test_clients_of_federated_averaging_train_the_whole_model_and_the_server_averages() -> None:
    # 60 samples, 3 clients, batches of 5: 4 steps in an epoch
    assert per_round("{kind: fedavg}") == {"local_training": (3, 6.0), "average": (1, 0.5)}
    assert per_round("{kind: fedavg, local_steps: 2}") == {"local_training": (3, 3.0), "average": (1, 0.5)}


@pytest.mark.parametrize("framework", ["sl", "fedavg", "sfl", "psl"])
def test_a_check_charges_what_a_run_charges(framework: str) -> None:
    scenario = loads(SCENARIO.replace("{kind: psl}", framework))
    checked = check_round(scenario, RateDevice(rate=1e6), 1, 2, clock=FakeClock(tick=0.5)).total.predicted_s
    spans = simulate(scenario, dry=True).spans
    work = spans[spans["round"].between(1, 4)].work_flop.sum() / 4
    assert checked == pytest.approx(work / 1e6)


GROUPS = SCENARIO.replace(
    "[{count: 3, device: laptop-cpu, link: wifi}]",
    "[{count: 2, device: laptop-cpu, link: wifi, training: {batch_size: 3}}, "
    "{count: 1, device: laptop-cpu, link: wifi, training: {batch_size: 11}}]",
)


@pytest.mark.parametrize("framework", ["sl", "fedavg", "sfl", "gapsl"])
def test_client_groups_are_checked_with_the_batch_sizes_that_they_have(framework: str) -> None:
    scenario = loads(GROUPS.replace("{kind: psl}", framework))
    checked = check_round(scenario, RateDevice(rate=1e6), 1, 2, clock=FakeClock(tick=0.5)).total.predicted_s
    spans = simulate(scenario, dry=True).spans
    work = spans[spans["round"].between(1, 4)].work_flop.sum() / 4
    assert checked == pytest.approx(work / 1e6)
    usual = simulate(loads(SCENARIO.replace("{kind: psl}", framework)), dry=True).spans
    assert usual[usual["round"].between(1, 4)].work_flop.sum() / 4 != pytest.approx(work)


@pytest.mark.parametrize("framework", ["{kind: epsl, phi: 0.5}", "{kind: gapsl, gradient: exact}"])
def test_steps_with_a_shared_pass_or_second_derivatives_are_timed_as_one_pass(framework: str) -> None:
    assert per_round(framework) == {
        "client_forward": (3, 1.5), "server_step": (1, 1.0), "client_backward": (3, 1.5),
    }  # fmt: skip


@component
class InTurn(ParallelSplitLearning):
    """A protocol of one's own: clients upload one after another."""

    def round(self, w: Stage) -> Process[None]:
        smashed = []
        for client in w.participants:
            smashed.append((yield from self._upload(w, client)))
        reply = yield from w.server.compute(w.learner.server_step(smashed, self.server_rule, self.cut_rule))
        yield from self._download(w, reply)


@component
class Eager(FreeFramework):
    """Nobody waits for anybody: the server updates with whoever has arrived."""

    kind: str = "eager"

    def run(self, w: Stage) -> Process[None]:
        yield from w.together(self._client(w, client) for client in range(w.n_clients))

    def _client(self, w: Stage, client: int) -> Process[None]:
        node = w.client(client)
        while True:
            smashed = yield from node.compute(w.learner.client_forward(client))
            yield from node.send(smashed, w.server, "uplink")
            step = w.learner.server_step([smashed], server_updates["mean"](), CutGradient())
            reply = yield from w.server.compute(step)
            yield from w.server.send(reply.own[client], node, "downlink")
            yield from node.compute(w.learner.client_backward(client, reply, client_updates["own"]()))


def played(framework: Framework) -> dict[str, tuple[float, float]]:
    scenario = copy(loads(SCENARIO))
    object.__setattr__(scenario, "framework", framework)  # not registered, so that other tests do not see it
    result = check_round(scenario, RateDevice(rate=1e6), 1, 4, clock=FakeClock(tick=0.5))
    return {row.operation: (row.n_per_round, row.measured_s) for row in result.operations}


def test_a_protocol_of_ones_own_is_checked() -> None:
    assert played(InTurn(kind="in_turn")) == JOINED


def test_a_protocol_without_a_barrier_is_checked() -> None:
    # 3 updates of the server are a round's samples; a pass and the rule in each
    found = played(Eager())
    assert found["server_step"] == (3, 3.0)
    assert set(found) == set(JOINED)


def test_a_protocol_that_ends_before_a_round_counts_is_refused() -> None:
    class Short(InTurn):
        def run(self, w: Stage) -> Process[None]:
            for _ in w.rounds(self):
                yield from self.round(w)
                return

    with pytest.raises(ProtocolError, match="ended by itself after 1 rounds; a check needs 3 or more"):
        played(Short(kind="short"))


def test_the_error_is_relative_to_what_was_measured() -> None:
    assert OperationCheck("x", 1, measured_s=2.0, predicted_s=2.5).error == pytest.approx(0.25)


def test_a_check_goes_on_until_enough_time_has_passed() -> None:
    # a round of 3 + 2 + 3 parts reads the clock twice for each, 0.5 s every time
    result = check_round(loads(SCENARIO), RateDevice(rate=1e6), 1, 2, least_s=36.0, clock=FakeClock(tick=0.5))
    assert result.n_rounds == 5
    assert [row.n_per_round for row in result.operations] == [3, 1, 3]
