"""Layers timed in place: forward and backward times are told apart, residual branches too."""

from __future__ import annotations

import pytest
import torch

from gapslsim.learning.optimizers.sgd import Sgd
from gapslsim.measuring._attribution import call_s, rows_of_passes, split_rest
from gapslsim.measuring.passes import Effort, SideTimes, time_split
from gapslsim.measuring.probes import Probe, ProbeCnn
from gapslsim.measuring.table import Machine
from gapslsim.models.zoo.vit import Vit
from gapslsim.stages.clock import MachineClock, clock_of
from tests.emulated import emulated
from tests.unit.measuring.fakes import CLOCK, FakeClock, SpendingModel

CPU = torch.device("cpu")
HERE = Machine("fake", "test", 1)
THREE = Effort(least=3, most=3, budget_s=1.0)


def spent() -> tuple[SideTimes, SideTimes]:
    return time_split(Probe("fake", SpendingModel(), (4,), 3), 2, Sgd(lr=0.1), CPU, CLOCK, THREE)


def test_each_layer_takes_what_it_spends_and_the_pass_takes_it_all() -> None:
    client, server = spent()
    assert (
        dict(client.layers_s) == {("forward", ""): [], ("backward", ""): []}
        or client.layers_s["forward", "first"] == [1.0] * 3
    )
    assert client.layers_s["backward", "first"] == [2.0] * 3
    assert server.layers_s["forward", "residual.branch"] == [5.0] * 3
    assert server.layers_s["backward", "residual.branch"] == [7.0] * 3
    assert server.layers_s["forward", "residual.add"] == [0.0] * 3
    assert server.layers_s["backward", "residual.add"] == [0.0] * 3
    assert server.layers_s["backward", "last"] == [0.25] * 3
    assert server.whole_s == {"forward": [5.5] * 3, "backward": [7.25] * 3}
    assert client.whole_s == {"forward": [1.0] * 3, "backward": [2.0] * 3}


@pytest.mark.parametrize(
    "probe",
    [
        Probe("cnn", ProbeCnn(stages=((4, 6), (8,)), norm="group", hidden=(5,)), (3, 8, 8)),
        Probe("vit", Vit(patch=4, dim=8, depth=2, heads=2, cut=1), (3, 8, 8)),
    ],
    ids=lambda probe: probe.name,
)
def test_every_costed_layer_is_timed_in_both_phases_and_no_other(probe: Probe) -> None:
    sides = time_split(probe, 2, Sgd(lr=0.1), CPU, FakeClock(tick=1.0), THREE)
    for side in sides:
        for phase, cost in (("forward", side.cost.forward), ("backward", side.cost.backward)):
            costed = {layer.name for layer in cost.layers}
            timed = {name for known, name in side.layers_s if known == phase}
            assert costed <= timed
            assert all(value > 0 for name in costed for value in side.layers_s[phase, name])


def test_the_machines_clock_times_a_pass_with_its_layers_inside() -> None:
    probe = Probe("cnn", ProbeCnn(stages=((4,),), hidden=()), (1, 8, 8))
    client, server = time_split(probe, 4, Sgd(lr=0.1), CPU, MachineClock(1), THREE)
    for side in (client, server):
        assert len(side.whole_s["forward"]) == len(side.whole_s["backward"]) == 3
        assert all(value >= 0 for values in side.layers_s.values() for value in values)


def test_a_gpu_is_waited_for_once_in_a_pass_however_many_layers_it_has() -> None:
    probe = Probe("cnn", ProbeCnn(stages=((4, 6), (8,)), norm="group", hidden=(5,)), (3, 8, 8))
    with emulated() as log:
        gpu = torch.device("cuda", 0)
        sides = time_split(
            probe, 2, Sgd(lr=0.1), gpu, clock_of(gpu, 1), Effort(least=3, most=3, budget_s=1e9)
        )
    for side in sides:
        assert {name for phase, name in side.layers_s} >= {layer.name for layer in side.cost.forward.layers}
        assert all(value >= 0 for values in side.layers_s.values() for value in values)
    # Two passes to warm up, then three with hooks and three without, of each side.
    assert log.total("waits") == 2 * (2 + 3 + 3)


def test_what_is_left_of_passes_is_split_into_calls_and_layers() -> None:
    # 10 us per call and 2 us per layer, in passes of 3, 10 and 20 layers
    rest = split_rest([3, 10, 20], [16e-6, 30e-6, 50e-6], [1e-4, 3e-4, 1e-3])
    assert rest.per_call_s == pytest.approx(10e-6)
    assert rest.per_layer_s == pytest.approx(2e-6)


def test_no_part_of_what_is_left_is_negative() -> None:
    rest = split_rest([3, 20], [20e-6, 10e-6], [1e-4, 1e-4])
    assert rest.per_layer_s == 0.0
    assert rest.per_call_s == pytest.approx(15e-6)


def test_rows_of_layers_and_calls_add_up_to_the_passes() -> None:
    rows = rows_of_passes(HERE, spent(), repeats=2)
    server = [r for r in rows if r.phase == "backward" and r.name in ("residual.branch", "last")]
    assert [(r.name, r.time_s) for r in server] == [
        ("last", 0.25), ("last", 0.25), ("residual.branch", 7.0), ("residual.branch", 7.0),
    ]  # fmt: skip
    whole = {(r.phase, r.name): r.time_s for r in rows if r.kind == "whole"}
    assert whole["forward", "fake.server"] == 5.5
    assert call_s(rows) == pytest.approx(1e-9)  # nothing is left: passes are their layers
    assert {r.batch_size for r in rows} == {2}


def test_layers_that_take_longer_than_their_pass_are_scaled_down_to_it() -> None:
    client, server = spent()
    for samples in server.layers_s.values():
        samples[:] = [2 * value for value in samples]
    rows = rows_of_passes(HERE, [client, server], repeats=1)
    branch = next(r for r in rows if r.name == "residual.branch" and r.phase == "forward")
    assert branch.time_s == pytest.approx(5.0)
    assert "scaled by 0.500" in branch.note


@pytest.mark.parametrize(
    ("budget_s", "n"),
    [
        (1e9, 10),  # time enough: as many as allowed
        (2.5, 4),  # the budget is gone after 3 s; at least four times
        (1.1, 4),  # 4 s are more than three budgets, but not when the fourth begins
        (0.3, 3),  # a slow device: three times do
    ],
)
def test_repeats_end_with_the_budget(budget_s: float, n: int) -> None:
    clock = FakeClock()
    effort = Effort(least=4, most=10, budget_s=budget_s)
    warm_ups: list[int] = []
    repeats = 0
    for _ in effort.rounds(clock, lambda: warm_ups.append(1)):
        repeats += 1
        clock.seconds += 1.0
    assert repeats == n
    assert len(warm_ups) == 2


def test_passes_are_measured_in_the_precision_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[torch.dtype] = set()
    linear = torch.nn.functional.linear

    def watched(*given: torch.Tensor) -> torch.Tensor:
        made = linear(*given)
        seen.add(made.dtype)
        return made

    monkeypatch.setattr(torch.nn.functional, "linear", watched)
    probe = Probe("cnn", ProbeCnn(stages=((4,),), hidden=(3,)), (1, 8, 8))
    time_split(probe, 2, Sgd(lr=0.1), CPU, FakeClock(tick=1.0), THREE, "bfloat16")
    assert seen == {torch.bfloat16}
