"""A check compares what a round takes here to what a profile says, operation by operation."""

from __future__ import annotations

import pytest

from gapslsim.errors import ComponentError
from gapslsim.measuring.check import OperationCheck, check_round
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
    # each reading moves the clock by 0.5 s, so that every part takes 0.5 s here: at the server, 3 passes and the rule
    result = check_round(loads(SCENARIO), RateDevice(rate=1e6), 1, 4, clock=FakeClock(tick=0.5))
    rows = {row.operation: row for row in result.operations}
    assert {name: (row.n_per_round, row.measured_s) for name, row in rows.items()} == {
        "client_forward": (3, 1.5),
        "server_step": (1, 2.0),
        "client_backward": (3, 1.5),
    }
    # forward at the client: 2 * 6 * 4 FLOP per sample and a ReLU of 4, 5 samples, 3 clients, 1 MFLOP/s
    assert rows["client_forward"].predicted_s == pytest.approx(3 * 5 * (48 + 4) / 1e6)
    assert result.total.measured_s == 5.0
    assert result.total.predicted_s == pytest.approx(sum(row.predicted_s for row in rows.values()))
    assert result.n_rounds == 4


@pytest.mark.parametrize("framework", ["sfl", "{kind: gapsl, excluded: freeze, eta: 0}"])
def test_parallel_frameworks_are_checked_as_if_every_client_trained(framework: str) -> None:
    text = SCENARIO.replace("{kind: psl}", framework)
    result = check_round(loads(text), RateDevice(rate=1e6), 1, 4, clock=FakeClock(tick=0.5))
    assert [row.n_per_round for row in result.operations] == [3, 1, 3]


@pytest.mark.parametrize("framework", ["sl", "fedavg", "{kind: epsl, phi: 0.5}"])
def test_frameworks_that_cannot_be_carried_out_here_are_refused(framework: str) -> None:
    text = SCENARIO.replace("{kind: psl}", framework)
    with pytest.raises(ComponentError, match="cannot be checked"):
        check_round(loads(text), RateDevice(rate=1e6), 1, 1, clock=FakeClock(tick=0.5))


def test_the_error_is_relative_to_what_was_measured() -> None:
    assert OperationCheck("x", 1, measured_s=2.0, predicted_s=2.5).error == pytest.approx(0.25)


def test_a_check_goes_on_until_enough_time_has_passed() -> None:
    # a round of 3 + 4 + 3 parts reads the clock twice for each, 0.5 s every time
    result = check_round(loads(SCENARIO), RateDevice(rate=1e6), 1, 2, least_s=45.0, clock=FakeClock(tick=0.5))
    assert result.n_rounds == 5
    assert [row.n_per_round for row in result.operations] == [3, 1, 3]
