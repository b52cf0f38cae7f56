"""A check compares what a round takes here to what a profile says, operation by operation."""

from __future__ import annotations

import pytest
import torch

from gapslsim.errors import ComponentError
from gapslsim.measuring.check import OperationCheck, check_round
from gapslsim.measuring.rounds import averaged
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


def per_round(framework: str, rounds: int = 4) -> dict[str, tuple[float, float]]:
    """Number and seconds per round of each operation; every part takes 0.5 s."""
    text = SCENARIO.replace("{kind: psl}", framework)
    result = check_round(loads(text), RateDevice(rate=1e6), 1, rounds, clock=FakeClock(tick=0.5))
    return {row.operation: (row.n_per_round, row.measured_s) for row in result.operations}


PARALLEL = {"client_forward": (3, 1.5), "server_step": (1, 2.0), "client_backward": (3, 1.5)}


def test_parallel_frameworks_are_checked_as_if_every_client_trained() -> None:
    assert per_round("{kind: gapsl, excluded: freeze, eta: 0}") == PARALLEL
    assert per_round("{kind: sfl}") == PARALLEL | {"average": (1, 0.5)}


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


def test_frameworks_that_cannot_be_carried_out_here_are_refused_with_those_that_can() -> None:
    text = SCENARIO.replace("{kind: psl}", "{kind: epsl, phi: 0.5}")
    with pytest.raises(
        ComponentError, match=r"cannot be checked: its server makes a shared pass .* sl, and fedavg"
    ):
        check_round(loads(text), RateDevice(rate=1e6), 1, 1, clock=FakeClock(tick=0.5))


def test_a_protocol_of_ones_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = loads(SCENARIO)
    monkeypatch.setattr(type(scenario.framework), "round", lambda self, w: iter(()), raising=False)
    with pytest.raises(ComponentError, match="its protocol is not known here"):
        check_round(scenario, RateDevice(rate=1e6), 1, 1, clock=FakeClock(tick=0.5))


def test_an_average_is_the_mean_of_the_models() -> None:
    models = [[torch.tensor([1.0, 2.0]), torch.tensor(3.0)], [torch.tensor([3.0, 6.0]), torch.tensor(5.0)]]
    mean = averaged(models)
    assert [one.tolist() for one in mean] == [[2.0, 4.0], 4.0]
    assert models[0][0].tolist() == [1.0, 2.0]


def test_the_error_is_relative_to_what_was_measured() -> None:
    assert OperationCheck("x", 1, measured_s=2.0, predicted_s=2.5).error == pytest.approx(0.25)


def test_a_check_goes_on_until_enough_time_has_passed() -> None:
    # a round of 3 + 4 + 3 parts reads the clock twice for each, 0.5 s every time
    result = check_round(loads(SCENARIO), RateDevice(rate=1e6), 1, 2, least_s=45.0, clock=FakeClock(tick=0.5))
    assert result.n_rounds == 5
    assert [row.n_per_round for row in result.operations] == [3, 1, 3]
