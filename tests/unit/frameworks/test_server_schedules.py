"""How the server steps and when clients synchronise: plain loops, timelines worked out by hand, textbook cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.learning.schedules.step import StepSchedule
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build
from gapslsim.models.zoo.cnn import Cnn
from tests.plain_loops import PlainLoop, largest_difference, watch
from tests.support import Stage, sgd, small_setup, stage
from tests.unit.frameworks.test_equivalences import batches_of, centralised
from tests.unit.frameworks.test_timelines import (
    FORWARD_TO_SERVER_0,
    FORWARD_TO_SERVER_1,
    assert_spans,
)
from tests.unit.frameworks.test_timelines import run as timed

COPIES = {"kind": "copies", "every": 2}
INDEX = {"kind": "sequential", "order": "index"}
EPOCH = {"kind": "average", "every": "epoch", "weights": "samples", "optimizer": "reset"}
CASES: dict[str, dict[str, Any]] = {
    "sum": {"kind": "psl", "server_schedule": "sum"},
    "sequential by arrival": {"kind": "psl", "server_schedule": "sequential"},
    "sequential by index": {"kind": "sfl", "server_schedule": INDEX},
    "copies": {"kind": "psl", "server_schedule": "copies"},
    "copies every second round": {"kind": "sfl", "server_schedule": COPIES},
    "joined": {"kind": "psl", "server_schedule": "joined"},
    "joined, scaled": {"kind": "psl", "server_schedule": "joined", "cut_scale": "mean"},
    "mean, scaled": {"kind": "psl", "cut_scale": "mean"},
    "mean, averaged per epoch": {"kind": "sfl", "client_sync": EPOCH},
    "sequential by index, averaged per epoch": {
        "kind": "splitfed_v2", "server_schedule": INDEX, "client_sync": EPOCH,
    },
    "splitfed_v1": {"kind": "splitfed_v1"},
    "splitfed_v2": {"kind": "splitfed_v2"},
}  # fmt: skip


def unlike(n_clients: int = 3, **settings: Any) -> LearningSetup:
    """Clients with 20, 15, 10 ... samples in batches of 5; one with 4 gets batches of 4."""
    made = small_setup(n_clients, **settings)
    rows, sizes = np.arange(len(made.data.train)), [20, 10, 4, 5][:n_clients]
    ends = np.cumsum(sizes)
    return replace(made, shards=[rows[end - size : end] for end, size in zip(ends, sizes, strict=True)])


def trained(setup: LearningSetup, n_rounds: int, kind: str, **settings: Any) -> Stage:
    framework: Framework = frameworks[kind](**settings)
    return stage(setup).run(framework, n_rounds)


def distance(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(left, right, strict=True))


def of_server(world: Stage, name: str = "server") -> Sequence[Tensor]:
    return world.learner.states[name].value.parameters


def of_client(world: Stage, client: int) -> Sequence[Tensor]:
    return world.learner.client_state(client).value.parameters


@pytest.mark.parametrize("case", CASES)
def test_weights_are_those_of_plain_pytorch_in_the_order_of_the_clock(case: str) -> None:
    setup = unlike()
    world = stage(setup, rates=(1.0, 0.7, 0.3), uplinks=(1600, 900, 700), downlinks=(1280, 640, 500))
    watched = watch(world.learner)
    kind, *_ = (settings := dict(CASES[case])).pop("kind"), None
    world.run(frameworks[kind](**settings), 10)
    assert any(entry[0] == "step" for entry in watched.log)
    assert largest_difference(world.learner, PlainLoop(setup).apply(watched)) < 1e-10


class Loop:
    """Modules and their SGD with momentum; nothing of gapslsim but the batches."""

    def __init__(self, setup: LearningSetup) -> None:
        self.setup, n = setup, setup.n_clients
        built = [build(setup.model, setup.data.input_shape, 3, setup.seed) for _ in range(n)]
        self.clients = [b.client.double() for b in built]
        self.servers = [b.server.double() for b in built]
        self.of_clients = [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in self.clients]
        self.of_servers = [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in self.servers]

    def batch(self, client: int, step: int) -> tuple[Tensor, Tensor]:
        rows = self.setup.batches.indices(client, step)
        train = self.setup.data.train
        return torch.from_numpy(train.inputs[rows]).double(), torch.from_numpy(train.labels[rows])

    def step(self, client: int, step: int, server: int) -> None:
        """One step of both sides on a mini-batch."""
        inputs, labels = self.batch(client, step)
        optimizers = self.of_clients[client], self.of_servers[server]
        for optimizer in optimizers:
            optimizer.zero_grad()
        F.cross_entropy(self.servers[server](self.clients[client](inputs)), labels).backward()
        for optimizer in optimizers:
            optimizer.step()


def averaged(modules: Sequence[nn.Module]) -> None:
    with torch.no_grad():
        for same in zip(*(m.parameters() for m in modules), strict=True):
            mean = torch.stack(list(same)).mean(0)
            for parameter in same:
                parameter.copy_(mean)


def test_sequential_by_index_is_a_loop_over_the_clients() -> None:
    setup, loop = small_setup(3), Loop(small_setup(3))
    world = trained(setup, 10, "psl", server_schedule=INDEX)
    for step in range(10):
        for client in range(3):
            loop.step(client, step, server=0)
    assert distance(of_server(world), list(loop.servers[0].parameters())) < 1e-10
    for client in range(3):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < 1e-10
    assert world.learner.server_steps == 30
    assert world.learner.server_state.value.n_updates == 30


def test_copies_are_a_loop_with_a_server_for_each_client_and_their_mean_every_second_round() -> None:
    setup, loop = small_setup(3), Loop(small_setup(3))
    world = trained(setup, 9, "psl", server_schedule=COPIES)
    for step in range(9):
        for client in range(3):
            loop.step(client, step, server=client)
        if step % 2:
            averaged(loop.servers)
    for client in range(3):
        assert distance(of_server(world, f"server-{client}"), list(loop.servers[client].parameters())) < 1e-10
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < 1e-10
    assert distance(of_server(world, "server-0"), of_server(world, "server-1")) > 1e-4


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_joined_pass_is_one_pass_over_all_samples(norm: str) -> None:
    model = Cnn(channels=(3, 4), cut=1, norm=norm)
    setup = small_setup(2, model=model, input_shape=(1, 6, 6))
    setup = replace(setup, shards=[np.arange(0, 20), np.arange(20, 24)])  # batches of 5 and 4
    world = stage(setup).run(frameworks["psl"](server_schedule="joined"), 6)
    loop = Loop(setup)
    server, optimizer = loop.servers[0], loop.of_servers[0]
    for step in range(6):
        batches = [loop.batch(client, step) for client in range(2)]
        smashed = [client(inputs) for client, (inputs, _) in zip(loop.clients, batches, strict=True)]
        entered = torch.cat([one.detach() for one in smashed]).requires_grad_()
        optimizer.zero_grad()
        F.cross_entropy(server(entered), torch.cat([labels for _, labels in batches])).backward()
        optimizer.step()
        assert entered.grad is not None
        cuts = torch.split(entered.grad, [5, 4])
        for own, one, cut, size in zip(loop.of_clients, smashed, cuts, (5, 4), strict=True):
            own.zero_grad()
            one.backward(cut * 9 / size)
            own.step()
    assert distance(of_server(world), list(server.parameters())) < 1e-10
    assert distance(of_client(world, 1), list(loop.clients[1].parameters())) < 1e-10
    ours = world.learner.server_state.value.buffers
    for mine, theirs in zip(ours, server.buffers(), strict=True):
        assert torch.allclose(mine, theirs.to(mine.dtype), rtol=0, atol=1e-10)


def test_a_joined_pass_of_equal_batches_and_layers_that_mix_nothing_is_the_mean() -> None:
    mean, joined = (trained(small_setup(3), 10, "psl", server_schedule=how) for how in ("mean", "joined"))
    for client in range(3):
        assert distance(of_client(mean, client), of_client(joined, client)) < 1e-10
    assert distance(of_server(mean), of_server(joined)) < 1e-10


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_copies_that_are_averaged_in_every_round_are_the_mean_gradient(momentum: float) -> None:
    made = {"client": sgd(0.1), "server": sgd(0.1, momentum=momentum)}
    mean, copies = (
        trained(small_setup(3, **made), 10, "psl", server_schedule=how) for how in ("mean", "copies")
    )
    for client in range(3):
        assert distance(of_server(mean), of_server(copies, f"server-{client}")) < 1e-10
        assert distance(of_client(mean, client), of_client(copies, client)) < 1e-10


def test_the_sum_is_the_mean_at_a_learning_rate_as_many_times_as_large() -> None:
    summed = trained(small_setup(4, server=sgd(0.05)), 10, "psl", server_schedule="sum")
    mean = trained(small_setup(4, server=sgd(0.2)), 10, "psl")
    assert distance(of_server(summed), of_server(mean)) < 1e-10


def test_cut_gradients_of_the_mean_loss_are_clients_at_a_fraction_of_the_learning_rate() -> None:
    scaled = trained(small_setup(4, client=sgd(0.2)), 10, "psl", cut_scale="mean")
    own = trained(small_setup(4, client=sgd(0.05)), 10, "psl")
    for client in range(4):
        assert distance(of_client(scaled, client), of_client(own, client)) < 1e-10


@pytest.mark.parametrize(
    "rate", [{"momentum": 0.9}, {"momentum": 0.9, "schedule": StepSchedule(every=5, gamma=0.3)}]
)
def test_splitfed_v1_is_federated_averaging_weight_by_weight(rate: dict[str, Any]) -> None:
    setup = unlike(client=sgd(0.1, **rate), server=sgd(0.1, **rate))
    v1, fedavg = trained(setup, 5, "splitfed_v1"), trained(setup, 5, "fedavg")
    for client in range(3):
        assert distance(of_client(v1, client), of_client(fedavg, client)) < 1e-10
        assert distance(of_server(v1, f"server-{client}"), of_server(fedavg)) < 1e-10
    assert distance(of_server(v1), of_server(fedavg)) < 1e-10
    views = ("global", "clients", "ensemble", "local")
    for world in (v1, fedavg):
        world.learner.evaluate(views)
    seen = [[row.accuracy for row in world.learner.observed.accuracies] for world in (v1, fedavg)]
    assert seen[0] == pytest.approx(seen[1], abs=1e-4)
    assert v1.learner.samples_seen == fedavg.learner.samples_seen == 5 * (20 + 10 + 4)


def test_a_schedule_of_the_learning_rate_counts_the_steps_of_each_copy() -> None:
    framework = frameworks["splitfed_v1"]()
    assert framework.optimizer_steps_per_round([5, 5, 4], [20, 10, 4]) == pytest.approx((7 / 3, 7 / 3))
    assert framework.server_steps_per_round([5, 5, 4], [20, 10, 4]) == pytest.approx(7)
    assert frameworks["splitfed_v2"]().optimizer_steps_per_round([5, 5, 4], [20, 10, 4]) == pytest.approx(
        (7 / 3, 7)
    )
    assert frameworks["sfl"](client_sync=EPOCH).optimizer_steps_per_round([5, 5], [20, 10]) == (3, 4)


def test_vanilla_sl_hands_over_after_a_local_epoch() -> None:
    setup = unlike()
    world = trained(setup, 2, "sl", local_steps="epoch")
    batches = [
        batch
        for turn in range(2)
        for client, n in enumerate((4, 2, 1))
        for batch in batches_of(setup, client, 2 * n)[turn * n : (turn + 1) * n]
    ]
    weights = [*of_client(world, 0), *of_server(world)]
    del weights[: len(of_client(world, 0))]
    whole = centralised(setup, batches, lr=0.1, momentum=0.9)
    common = world.learner.states["client"].value.parameters
    assert distance([*common, *weights], whole) < 1e-10
    framework = frameworks["sl"](local_steps="epoch")
    assert framework.samples_per_round([5, 5, 4], [20, 10, 4]) == 34
    assert framework.optimizer_steps_per_round([5, 5, 4], [20, 10, 4]) == (7, 7)


def test_the_server_steps_as_each_arrives_and_answers_at_once() -> None:
    world = timed("psl", server_schedule="sequential")
    assert_spans(world, "server", [("server_step", 2.25, 3.75), ("server_step", 4.25, 5.75)])
    assert_spans(
        world,
        "client-0",
        [
            *FORWARD_TO_SERVER_0,
            ("server_compute", 2.25, 3.75),
            ("downlink", 3.75, 5.0),
            ("client_backward", 5.0, 7.0),
            ("waiting", 7.0, 12.0),
        ],
    )
    assert_spans(
        world,
        "client-1",
        [
            *FORWARD_TO_SERVER_1,
            ("server_compute", 4.25, 5.75),
            ("downlink", 5.75, 8.0),
            ("client_backward", 8.0, 12.0),
        ],
    )


def test_by_index_it_steps_when_all_have_arrived() -> None:
    world = timed("psl", server_schedule=INDEX)
    assert_spans(world, "server", [("server_step", 4.25, 5.75), ("server_step", 5.75, 7.25)])
    assert_spans(
        world,
        "client-0",
        [
            *FORWARD_TO_SERVER_0,
            ("waiting", 2.25, 4.25),
            ("server_compute", 4.25, 5.75),
            ("downlink", 5.75, 7.0),
            ("client_backward", 7.0, 9.0),
            ("waiting", 9.0, 13.5),
        ],
    )
    assert world.env.now == pytest.approx(13.5, abs=1e-9)


def test_a_joined_pass_takes_what_it_costs() -> None:
    world = timed("psl", server_schedule="joined")  # 2.5 FLOP per client at 2 FLOP/s
    assert_spans(world, "server", [("server_step", 4.25, 6.75)])


def test_copies_step_on_arrival_and_the_server_averages_them_behind_the_round() -> None:
    world = timed("psl", server_schedule="copies")
    steps = [("server_step", 2.25, 3.75), ("server_step", 4.25, 5.75)]
    assert_spans(world, "server", [*steps, ("average", 12.0, 12.25)])
    assert world.env.now == pytest.approx(12.25, abs=1e-9)


def few(sizes: Sequence[int]) -> LearningSetup:
    """Two clients with so many mini-batches of 5."""
    ends = 5 * np.cumsum(sizes)
    shards = [np.arange(end - 5 * size, end) for end, size in zip(ends, sizes, strict=True)]
    return replace(small_setup(2), shards=shards)


def test_splitfed_v1_lets_each_client_go_through_its_epoch_and_averages_behind_the_longest() -> None:
    world = stage(few([4, 1]), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    world.run(frameworks["splitfed_v1"](), 1)
    # 1 + 1.25 + 1.5 + 1.25 + 2 = 7 s for a mini-batch of client 0, 12 s for that of client 1; then the copies'
    # average, 224 B up at the slower link, the clients' average, 224 B down.
    steps = [
        ("server_step", 2.25, 3.75),
        ("server_step", 4.25, 5.75),
        *(("server_step", 7 * i + 2.25, 7 * i + 3.75) for i in (1, 2, 3)),
    ]
    assert_spans(world, "server", [*steps, ("average", 28.0, 28.25)])
    assert_spans(world, "parameter-server", [("average", 30.74, 30.99)])
    assert world.env.now == pytest.approx(30.99 + 0.25 + 2.8, abs=1e-9)
    sent = [(s.phase, s.size_bytes) for s in world.recorder.spans if s.actor == "client-0" and s.size_bytes]
    assert sent == [
        *[("uplink", 200), ("downlink", 160)] * 4,
        ("model_uplink", 224),
        ("model_downlink", 224),
    ]


def test_with_one_step_for_all_those_that_still_have_mini_batches_go_on() -> None:
    world = stage(few([4, 1]), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    world.run(frameworks["psl"](client_sync=EPOCH), 1)
    # The first step waits for both as in PSL, 13.5 s; then client 0 is alone.
    assert_spans(
        world,
        "server",
        [
            ("server_step", 4.25, 7.25),
            *(("server_step", 13.5 + 7 * i + 2.25, 17.25 + 7 * i) for i in range(3)),
        ],
    )
    assert [s.end_s for s in world.recorder.spans if s.phase == "model_uplink"] == pytest.approx(
        [34.5 + 1.37, 34.5 + 2.49]
    )


def test_traffic_of_a_round_is_that_of_psl_whatever_the_server_does() -> None:
    totals = set()
    for how in ("mean", "sum", "sequential", INDEX, "copies", "joined"):
        world = timed("psl", server_schedule=how)
        totals.add(sum(span.size_bytes for span in world.recorder.spans))
    assert totals == {2 * (200 + 160)}


def test_a_client_that_is_late_stays_out_of_the_epoch_until_it_has_come() -> None:
    late = {"kind": "deadline", "after": 3.0, "late": "used_next"}
    world = stage(few([4, 3]), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    watched = watch(world.learner)
    world.run(frameworks["psl"](client_sync={"kind": "average", "every": "epoch"}, lateness=late), 1)
    steps = [[batch.client for batch in about] for name, about, *_ in watched.log if name == "step"]
    # Client 1 needs 4.25 s to the server: it misses the first step and is in the next; then its gradient is late.
    assert steps[:2] == [[0], [0, 1]]
    forwards = [about.client for name, about in (e[:2] for e in watched.log) if name == "forward"]
    assert forwards.count(0) == 4
    assert 1 <= forwards.count(1) <= 3
