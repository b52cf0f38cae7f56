"""What the server's passes cost: joined, one per client, in sequence; at the barrier or as each arrives."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from gapslsim.clock_options import ServerClock
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.slots import server_updates
from gapslsim.hardware.devices import load_device
from gapslsim.learning.costs import OperationCosts
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.registry import component
from gapslsim.work import Cost
from tests.support import small_setup, stage

MEAN, GAPSL = server_updates["mean"](), server_updates["gapsl"]()


def costs(model: Any = None, most_joined: int = 10**9, **clock: Any) -> OperationCosts:
    return OperationCosts(small_setup(4, model=model), ServerClock(**clock), most_joined)


def calls(cost: Cost) -> list[tuple[str, int]]:
    """(phase, samples) of every pass, as a device executes them: a node with layers is one call."""
    own = [(cost.layers[0].phase, cost.layers[0].batch_size)] if cost.layers else []
    return [
        call for _ in range(cost.repeats) for call in [*own, *(c for part in cost.parts for c in calls(part))]
    ]


def passes(cost: Cost) -> list[tuple[str, int]]:
    return [call for call in calls(cost) if call[0] in ("forward", "backward")]


def test_where_only_the_mean_is_needed_all_samples_go_through_in_one_pass() -> None:
    assert passes(costs().server_step([5] * 4, [0] * 4, MEAN)) == [("forward", 20), ("backward", 20)]
    assert passes(costs().server_step([5, 3], [0, 0], MEAN)) == [("forward", 8), ("backward", 8)]


def test_where_every_clients_gradient_is_needed_each_has_its_pass() -> None:
    for one in (costs(), costs(computes="per_client")):
        assert (
            sorted(passes(one.server_step([5] * 4, [0] * 4, GAPSL)))
            == [("backward", 5)] * 4 + [("forward", 5)] * 4
        )
    assert sorted(passes(costs(computes="per_client").server_step([5] * 4, [0] * 4, MEAN)))[0] == (
        "backward",
        5,
    )


def test_a_joined_pass_takes_no_more_samples_than_the_memory_holds() -> None:
    assert sorted(passes(costs(most_joined=10).server_step([5] * 5, [0] * 5, MEAN))) == [
        ("backward", 5), ("backward", 10), ("backward", 10), ("forward", 5), ("forward", 10), ("forward", 10),
    ]  # fmt: skip
    assert len(passes(costs(most_joined=1).server_step([5] * 5, [0] * 5, MEAN))) == 10


def test_epsl_passes_its_own_samples_back_joined_and_the_shared_ones_once() -> None:
    # phi 0.4: 3 of 5 samples of each client go back with all others, and 2 once for all.
    found = passes(costs().server_step([5] * 4, [2] * 4, MEAN))
    assert found == [("forward", 20), ("backward", 12), ("forward", 2), ("backward", 2)]


@component
class Normed(Mlp):
    """With batch norm on the server side."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> Any:
        blocks = super().blocks(input_shape, n_classes)
        return [*blocks[:-1], ("norm", nn.BatchNorm1d(5)), blocks[-1]]


class _Centre(nn.Module):
    def forward(self, x: Any) -> Any:
        return x - x.mean(0)


@component
class Mixing(Mlp):
    """A function of the user's own that no class of a layer tells of."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> Any:
        blocks = super().blocks(input_shape, n_classes)
        return [*blocks[:-1], ("centre", _Centre()), blocks[-1]]


@component
class Plain(Mlp):
    """Of the user's own too, and mixes nothing."""


@pytest.mark.parametrize(("model", "joins"), [(Normed, False), (Mixing, False), (Plain, True), (Mlp, True)])
def test_passes_are_joined_only_where_no_layer_mixes_samples(model: Any, joins: bool) -> None:
    assert costs(model(hidden=(4, 5), cut=1, activation="tanh")).joins(MEAN) == joins


def test_ten_passes_start_every_layer_ten_times_and_a_joined_one_once() -> None:
    # The same FLOP; what differs on a device are calls and layers that are started.
    one, ten = (costs(computes=how).server_step([5] * 10, [0] * 10, MEAN) for how in ("joined", "per_client"))
    assert one.work_flop == pytest.approx(ten.work_flop, rel=0.02)
    device = load_device("jetson-orin-nx")
    assert device.duration_s(one) < 0.2 * device.duration_s(ten)


def work_of_step(**clock: Any) -> Any:
    world = stage(small_setup(2), fixed_costs=False)
    world.learner.costs = OperationCosts(world.learner.setup, ServerClock(**clock))
    smashed = [world.learner.client_forward(client).carry_out() for client in (0, 1)]
    from gapslsim.learning.rules import CutGradient

    return world.learner.server_step(smashed, MEAN, CutGradient())


def test_in_sequence_each_pass_has_a_training_loop_of_its_own() -> None:
    assert work_of_step(computes="in_sequence").n_batches == 2
    assert work_of_step(computes="per_client").n_batches == 1
    assert work_of_step().n_batches == 1


@pytest.mark.parametrize("kind", ["psl", "gapsl", "epsl"])
def test_a_server_that_serves_on_arrival_passes_the_first_while_the_last_is_under_way(kind: str) -> None:
    def run(serves: str) -> Any:
        setup = small_setup()
        world = stage(
            setup, rates=(1000.0, 500.0), server_rate=4000.0, uplinks=(1600, 800), fixed_costs=False
        )
        world.learner.costs = OperationCosts(setup, ServerClock(computes="per_client", serves=serves))
        return world.run(frameworks[kind](), 1)

    barrier, arrival = run("at_barrier"), run("on_arrival")
    at_once = arrival.spans("server")
    assert [phase for phase, *_ in at_once] == ["server_pass", "server_pass", "server_step"]
    (_, start, end), *_ = at_once
    uplinks = [span for span in arrival.recorder.spans if span.phase == "uplink"]
    assert start == min(span.end_s for span in uplinks)
    assert end < max(span.end_s for span in uplinks)
    # What is computed in all is the same, and so is what is trained.
    assert sum(e - s for _, s, e in at_once) == pytest.approx(
        sum(e - s for _, s, e in barrier.spans("server"))
    )
    assert arrival.env.now < barrier.env.now
    assert arrival.learner.observed.losses == barrier.learner.observed.losses
    for client in (0, 1):
        spans = [span for span in arrival.recorder.spans if span.client == client]
        assert sum(s.end_s - s.start_s - s.overlap_s for s in spans) == pytest.approx(arrival.env.now)
