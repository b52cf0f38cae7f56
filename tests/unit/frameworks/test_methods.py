"""Published methods that are settings and small protocols: plain loops, timelines worked out by hand, limits, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim import load, load_dict, simulate
from gapslsim.assembly import learning_setup
from gapslsim.errors import ScenarioError
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import initial_blocks
from tests.support import Stage, setup_for, sgd, small_setup, stage
from tests.unit.frameworks.test_server_schedules import (
    Loop,
    distance,
    few,
    of_client,
    of_server,
    trained,
    unlike,
)
from tests.unit.frameworks.test_timelines import assert_spans
from tests.unit.frameworks.test_timelines import run as timed
from tests.worlds import small_scenario

N_ROUNDS = 10
CLOSE = 1e-8


def mean_of(models: Sequence[Sequence[Tensor]], sizes: Sequence[float]) -> list[Tensor]:
    """Weighted mean of parameters, detached."""
    shares = [size / sum(sizes) for size in sizes]
    return [
        torch.stack([share * p.detach() for share, p in zip(shares, same, strict=True)]).sum(0)
        for same in zip(*models, strict=True)
    ]


def put(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


# SplitFed V3 and V2.


def test_splitfed_v3_is_a_loop_over_copies_that_are_averaged_while_clients_stay_alone() -> None:
    setup = unlike()
    world, loop, sizes = trained(setup, N_ROUNDS, "splitfed_v3"), Loop(unlike()), (20, 10, 4)
    for turn in range(N_ROUNDS):
        for client, n in enumerate((4, 2, 1)):
            for step in range(turn * n, (turn + 1) * n):
                loop.step(client, step, server=client)
        mean = mean_of([list(m.parameters()) for m in loop.servers], sizes)
        for module in loop.servers:
            put(list(module.parameters()), mean)
        loop.of_servers = [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in loop.servers]
    for client in range(3):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < CLOSE
        assert distance(of_server(world, f"server-{client}"), mean) < CLOSE
    assert distance(of_client(world, 0), of_client(world, 1)) > 1e-3


def test_splitfed_v3_takes_the_time_of_v1_without_its_weights() -> None:
    world = stage(few([4, 1]), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    world.run(frameworks["splitfed_v3"](), 1)
    assert world.spans("server")[-1] == ("average", pytest.approx(28.0), pytest.approx(28.25))
    assert world.env.now == pytest.approx(28.25, abs=1e-9)
    sent = Counter({s.phase: 0 for s in world.recorder.spans})
    for span in world.recorder.spans:
        sent[span.phase] += span.size_bytes
    assert {phase: n for phase, n in sent.items() if n} == {"uplink": 5 * 200, "downlink": 5 * 160}


@pytest.mark.parametrize("order", ["turns", "random_turns"])
def test_splitfed_v2_in_turns_is_a_loop_over_local_epochs(order: str) -> None:
    setup, loop = unlike(), Loop(unlike())
    schedule = {"kind": "sequential", "order": order}
    world = stage(setup)
    took: list[int] = []
    step_of = world.learner.server_step

    def noted(smashed: Any, *given: Any, **how: Any) -> Any:
        took.extend(one.batch.client for one in smashed)
        return step_of(smashed, *given, **how)

    world.learner.server_step = noted  # type: ignore[method-assign]
    world.run(frameworks["splitfed_v2"](server_schedule=schedule), N_ROUNDS)
    orders = {tuple(dict.fromkeys(took[7 * turn : 7 * turn + 7])) for turn in range(N_ROUNDS)}
    assert orders == {(0, 1, 2)} if order == "turns" else len(orders) > 2
    for turn in range(N_ROUNDS):
        loop.of_clients = [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in loop.clients]
        steps = {client: list(range(turn * n, (turn + 1) * n)) for client, n in enumerate((4, 2, 1))}
        for client in took[7 * turn : 7 * turn + 7]:
            loop.step(client, steps[client].pop(0), server=0)
        mean = mean_of([list(m.parameters()) for m in loop.clients], (20, 10, 4))
        for module in loop.clients:
            put(list(module.parameters()), mean)
    assert distance(of_client(world, 1), mean) < CLOSE
    assert distance(of_server(world), list(loop.servers[0].parameters())) < CLOSE


@pytest.mark.parametrize("kind", ["splitfed_v1", "splitfed_v2"])
def test_an_optimizer_made_for_each_mini_batch_has_no_momentum(kind: str) -> None:
    how = {"kind": "copies", "every": "epoch", "weights": "samples", "optimizer": "reset"}
    how = how if kind == "splitfed_v1" else {"kind": "sequential", "order": "turns"}
    fast, plain = (
        trained(unlike(server=sgd(0.1, momentum=momentum)), 4, kind, server_schedule=how | more)
        for momentum, more in ((0.9, {"step_optimizer": "reset"}), (0.0, {}))
    )
    kept = trained(unlike(), 4, kind, server_schedule=how)
    assert distance(of_server(fast), of_server(plain)) < CLOSE
    assert distance(of_server(fast), of_server(kept)) > 1e-4


def test_in_turns_nobody_computes_while_another_trains() -> None:
    world = stage(few([2, 1]), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    turns = {"kind": "sequential", "order": "turns"}
    world.run(frameworks["psl"](server_schedule=turns, client_sync={"kind": "average", "every": "epoch"}), 1)
    # 7 s for each mini-batch of client 0, then 12 s for that of client 1.
    steps = [("server_step", 2.25, 3.75), ("server_step", 9.25, 10.75), ("server_step", 18.25, 19.75)]
    assert_spans(world, "server", steps)
    assert world.spans("client-1")[0] == ("waiting", 0.0, pytest.approx(14.0))


# SGLR.


@pytest.mark.parametrize("scale", ["own", "mean"])
@pytest.mark.parametrize("active", [0.75, 1.0])
def test_sglr_is_a_loop_with_one_loss_and_averaged_cut_gradients(scale: str, active: float) -> None:
    n, rate = 4, 0.1 * 4**0.5
    setup = small_setup(n, client=sgd(0.1, momentum=0.9), server=sgd(rate, momentum=0.9))
    world, chosen = stage(setup), list[Any]()
    step_of = world.learner.server_step

    def noted(smashed: Any, rule: Any, cut_rule: Any, **how: Any) -> Any:
        chosen.append(range(n) if cut_rule.averaged is None else cut_rule.averaged)
        assert cut_rule.average
        assert how["joined"]
        return step_of(smashed, rule, cut_rule, **how)

    world.learner.server_step = noted  # type: ignore[method-assign]
    world.run(frameworks["sglr"](power=0.5, active=active, cut_scale=scale), N_ROUNDS)
    assert {len(who) for who in chosen} == {round(active * n)}
    assert len(set(map(tuple, chosen))) > 1 or active == 1
    loop = Loop(setup)
    server, optimizer = loop.servers[0], torch.optim.SGD(loop.servers[0].parameters(), rate, 0.9)
    for step, who in enumerate(chosen):
        batches = [loop.batch(client, step) for client in range(n)]
        smashed = [client(inputs) for client, (inputs, _) in zip(loop.clients, batches, strict=True)]
        entered = torch.cat([one.detach() for one in smashed]).requires_grad_()
        optimizer.zero_grad()
        F.cross_entropy(server(entered), torch.cat([labels for _, labels in batches])).backward()
        optimizer.step()
        assert entered.grad is not None
        cuts = [cut * (n if scale == "own" else 1) for cut in torch.split(entered.grad, 5)]
        mean = torch.stack([cuts[client] for client in who]).mean(0)
        for client, (own, one) in enumerate(zip(loop.of_clients, smashed, strict=True)):
            own.zero_grad()
            one.backward(mean if client in who else cuts[client])
            own.step()
    assert distance(of_server(world), list(server.parameters())) < CLOSE
    for client in range(n):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) < CLOSE


def test_sglr_without_its_two_parts_is_psl() -> None:
    plain, psl = (
        trained(small_setup(3), N_ROUNDS, kind, **settings)
        for kind, settings in (("sglr", {"power": 0, "averaged_epochs": 1e-9}), ("psl", {}))
    )
    assert distance(of_server(plain), of_server(psl)) < CLOSE
    assert distance(of_client(plain, 1), of_client(psl, 1)) < CLOSE


def test_the_mean_at_the_cut_ends_after_so_many_epochs() -> None:
    world, averages = stage(small_setup(2)), list[bool]()  # two rounds are half an epoch
    step_of = world.learner.server_step

    def noted(smashed: Any, rule: Any, cut_rule: Any, **how: Any) -> Any:
        averages.append(cut_rule.average)
        return step_of(smashed, rule, cut_rule, **how)

    world.learner.server_step = noted  # type: ignore[method-assign]
    world.run(frameworks["sglr"](averaged_epochs=0.5), 4)
    assert averages == [True, True, False, False]


def test_the_servers_rate_grows_with_clients_or_samples() -> None:
    def rate(**settings: Any) -> float:
        made = small_scenario(framework={"kind": "sglr", **settings})
        optimizer: Any = learning_setup(load_dict(made), dry=True)[0].server_optimizer
        return float(optimizer.lr)

    assert rate() == pytest.approx(0.05 * 4)
    assert rate(power=0.5) == pytest.approx(0.05 * 2)
    assert rate(power=0.5, scaled_by="samples") == pytest.approx(0.05 * 32**0.5)
    assert rate(participation={"kind": "sample", "k": 2}) == pytest.approx(0.05 * 2)
    assert rate(power=0) == 0.05
    scaled, written = (
        simulate(
            load_dict(small_scenario(framework={"kind": "sglr", "power": power}, training={"server": server}))
        ).summary["learning_sha256"]
        for power, server in (
            (1, {"optimizer": "sgd", "lr": 0.05}),
            (0, {"optimizer": "sgd", "lr": 0.2}),
        )
    )
    assert scaled == written


def test_sglr_sends_the_mean_by_broadcast_and_makes_one_pass() -> None:
    world = timed("sglr", active=1.0)  # 2.5 FLOP per client at 2 FLOP/s; 1280 bit down
    assert_spans(world, "server", [("server_step", 4.25, 6.75)])
    ends = {s.client: s.end_s for s in world.recorder.spans if s.phase == "client_backward"}
    assert ends == pytest.approx({0: 6.75 + 1.25 + 2, 1: 6.75 + 2.25 + 4})
    sent = [(s.client, s.size_bytes) for s in world.recorder.spans if s.phase == "downlink"]
    assert sorted(sent) == [(0, 160), (1, 160)]


# CPSL.


@pytest.mark.parametrize("optimizer", ["keep", "reset"])
def test_cpsl_is_a_loop_over_clusters(optimizer: str) -> None:
    setup, loop, clusters = unlike(), Loop(unlike()), [[0, 2], [1]]
    world = trained(setup, N_ROUNDS, "cpsl", clusters=clusters, local_steps=2, optimizer=optimizer)
    sizes, server = (20, 10, 4), loop.servers[0]
    newest = [p.detach().clone() for p in loop.clients[0].parameters()]
    for turn in range(N_ROUNDS):
        for cluster in clusters:
            for client in cluster:
                put(list(loop.clients[client].parameters()), newest)
                if optimizer == "reset":
                    loop.of_clients[client] = torch.optim.SGD(loop.clients[client].parameters(), 0.1, 0.9)
            for step in (2 * turn, 2 * turn + 1):
                loop.of_servers[0].zero_grad()
                for client in cluster:
                    inputs, labels = loop.batch(client, step)
                    loop.of_clients[client].zero_grad()
                    F.cross_entropy(server(loop.clients[client](inputs)), labels).backward()
                    loop.of_clients[client].step()
                for parameter in server.parameters():
                    assert parameter.grad is not None
                    parameter.grad /= len(cluster)
                loop.of_servers[0].step()
            models = [list(loop.clients[client].parameters()) for client in cluster]
            newest = mean_of(models, [sizes[client] for client in cluster])
    assert distance(of_server(world), list(server.parameters())) < CLOSE
    for client in range(3):
        assert distance(of_client(world, client), newest) < CLOSE


def test_one_cluster_of_all_is_sfl_in_weights_time_and_bytes() -> None:
    links: dict[str, Any] = {"uplinks": (1600, 900, 700), "downlinks": (1280, 640, 500), "latency_s": 0.25}
    cpsl, sfl = (
        stage(small_setup(3), rates=(1.0, 0.7, 0.3), **links).run(frameworks[kind](**settings), N_ROUNDS)
        for kind, settings in (("cpsl", {"clusters": 1, "weights": "uniform"}), ("sfl", {}))
    )
    assert distance(of_server(cpsl), of_server(sfl)) < CLOSE
    for client in range(3):
        assert distance(of_client(cpsl, client), of_client(sfl, client)) < CLOSE
    # The first download is at the beginning, and the last one of sfl's is missing at the end.
    assert cpsl.env.now == pytest.approx(sfl.env.now, abs=1e-6)
    moved = [
        Counter((s.client, s.phase, s.size_bytes) for s in world.recorder.spans if s.size_bytes)
        for world in (cpsl, sfl)
    ]
    assert moved[0] == moved[1]


@pytest.mark.parametrize("local_steps", [2, "epoch"])
def test_clusters_of_one_train_as_vanilla_split_learning(local_steps: Any) -> None:
    setup = unlike(client=sgd(0.1), server=sgd(0.1, momentum=0.9))
    cpsl = trained(setup, N_ROUNDS, "cpsl", clusters=3, local_steps=local_steps)
    sl = trained(setup, N_ROUNDS, "sl", local_steps=local_steps, optimizer="reset")
    assert distance(of_server(cpsl), of_server(sl)) < CLOSE
    newest = sl.learner.states["client"].value.parameters
    for client in range(3):
        assert distance(of_client(cpsl, client), newest) < CLOSE
    assert [row.loss for row in cpsl.learner.observed.losses] == pytest.approx(
        [row.loss for row in sl.learner.observed.losses], abs=CLOSE
    )


def test_clusters_have_their_turns_and_pay_for_the_model_that_is_handed_on() -> None:
    world = timed("cpsl", clusters=2)  # 224 B of weights: 1792 bit
    assert_spans(
        world,
        "client-0",
        [
            ("model_downlink", 0.0, 1.65),
            ("client_forward", 1.65, 2.65),
            ("uplink", 2.65, 3.9),
            ("server_compute", 3.9, 5.4),
            ("downlink", 5.4, 6.65),
            ("client_backward", 6.65, 8.65),
            ("model_uplink", 8.65, 10.02),
            ("server_compute", 10.02, 10.27),
            ("waiting", 10.27, 28.06),
        ],
    )
    assert_spans(
        world,
        "client-1",
        [
            ("waiting", 0.0, 10.27),
            ("model_downlink", 10.27, 13.32),
            ("client_forward", 13.32, 15.32),
            ("uplink", 15.32, 17.57),
            ("server_compute", 17.57, 19.07),
            ("downlink", 19.07, 21.32),
            ("client_backward", 21.32, 25.32),
            ("model_uplink", 25.32, 27.81),
            ("server_compute", 27.81, 28.06),
        ],
    )


def test_clusters_are_blocks_spread_or_drawn() -> None:
    from gapslsim.frameworks._clusters import problems_of, turns_of

    assert turns_of(3, "blocks", range(7)) == [[0, 1], [2, 3], [4, 5, 6]]
    assert turns_of(3, "spread", range(7)) == [[0, 3, 6], [1, 4], [2, 5]]
    drawn = turns_of(3, "random", range(7), lambda: np.random.default_rng(1))
    assert sorted(client for own in drawn for client in own) == list(range(7))
    assert list(map(len, drawn)) == [2, 2, 3]
    assert drawn != turns_of(3, "blocks", range(7))
    assert turns_of(((3, 1), (0, 2)), "blocks", [0, 1]) == [[1], [0]]
    assert turns_of(5, "blocks", [4, 6]) == [[4], [6]]
    assert problems_of(3, 2) == ["clusters is 3, but there are 2 clients; write 2 or fewer"]
    (said,) = problems_of(((0, 1), (1,)), 3)
    assert "each of the 3 clients once, from 0 to 2; found [[0, 1], [1]]" in said


# Hierarchical SFL and MP-SL.


class Parts:
    """A network for each client, of blocks that are shared as a shape says; plain SGD with momentum."""

    def __init__(self, setup: LearningSetup, copies: bool) -> None:
        assert setup.segments is not None
        self.setup, self.blocks = setup, dict[tuple[str, int], nn.Module]()
        self.networks: list[list[tuple[str, nn.Module]]] = []
        for client, path in enumerate(setup.segments.paths):
            network = []
            for owner, first, last in path:
                own = owner == "client" or copies
                state = f"{owner}-{client}" if own else owner
                network += [(state, self._block(state, place)) for place in range(first, last)]
            self.networks.append(network)
        self.optimizers = {
            state: torch.optim.SGD(self.of(state), 0.1, 0.9) for state in {s for s, _ in self.blocks}
        }

    def _block(self, state: str, place: int) -> nn.Module:
        if (state, place) not in self.blocks:
            setup = self.setup
            made = initial_blocks(setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed)
            self.blocks[state, place] = made[place][1].double()
        return self.blocks[state, place]

    def of(self, state: str) -> list[Tensor]:
        """Parameters in order of blocks."""
        return [p for (name, _), m in sorted(self.blocks.items()) if name == state for p in m.parameters()]

    def backward(self, client: int, step: int) -> None:
        """Adds the gradient of a mini-batch's loss."""
        rows, train = self.setup.batches.indices(client, step), self.setup.data.train
        output = torch.from_numpy(train.inputs[rows]).double()
        for _, block in self.networks[client]:
            output = block(output)
        F.cross_entropy(output, torch.from_numpy(train.labels[rows])).backward()

    def step(self, users: dict[str, int]) -> None:
        """Steps on the mean over each state's users."""
        for state, n in users.items():
            for parameter in self.of(state):
                assert parameter.grad is not None
                parameter.grad /= n
            self.optimizers[state].step()
            self.optimizers[state].zero_grad()

    def average(self, states: Sequence[str], sizes: Sequence[float]) -> None:
        mean = mean_of([self.of(state) for state in states], sizes)
        for state in states:
            put(self.of(state), mean)


def test_hierarchical_sfl_is_a_loop_with_means_at_two_intervals() -> None:
    setup = setup_for("hierarchical_sfl", 3)  # clients 0 and 2 at e0, 1 at e1
    sync = {"kind": "hierarchical", "every": 2, "cloud_every": 3}
    world = trained(setup, N_ROUNDS, "hierarchical_sfl", client_sync=sync)
    loop = Parts(setup, copies=False)
    for turn in range(N_ROUNDS):
        for client in range(3):
            loop.backward(client, turn)
        loop.step({"client-0": 1, "client-1": 1, "client-2": 1, "e0": 2, "e1": 1, "server": 3})
        if (turn + 1) % 3 == 0:
            loop.average(["client-0", "client-1", "client-2"], [1, 1, 1])
            loop.average(["e0", "e1"], [2, 1])
        elif (turn + 1) % 2 == 0:
            loop.average(["client-0", "client-2"], [1, 1])
    for state in ("client-0", "client-1", "client-2", "e0", "e1", "server"):
        assert distance(world.learner.states[state].value.parameters, loop.of(state)) < CLOSE, state
    assert distance(loop.of("e0"), loop.of("e1")) > 1e-4


def test_a_round_of_hierarchical_sfl_and_what_it_moves() -> None:
    sync = {"kind": "hierarchical", "every": 1, "cloud_every": 1}
    world = stage(setup_for("hierarchical_sfl", 2), rates=(1.0, 1.0))
    world.run(frameworks["hierarchical_sfl"](client_sync=sync), 1)
    # Forward 1 s, edges 1.5 s, the server 3 s for each client, edges' steps 2.5 s, backward 2 s; averages of 0.5 s at
    # edges and twice in the cloud.
    steps = [("relay_forward", 1.0, 2.5), ("relay_step", 8.5, 11.0), ("average", 13.0, 13.5)]
    for edge in ("e0", "e1"):
        computed = [s for s in world.spans(edge) if not s[0].startswith(("relay_up", "relay_down", "model_"))]
        assert [phase for phase, *_ in computed] == [phase for phase, *_ in steps]
        assert [s for s in computed[0][1:]] == pytest.approx([1.0, 2.5], abs=1e-6)
        assert [s for s in computed[2][1:]] == pytest.approx([13.0, 13.5], abs=1e-6)
    assert world.env.now == pytest.approx(14.5, abs=1e-6)
    moved = Counter[str]()
    for span in world.recorder.spans:
        moved[span.phase] += span.size_bytes
    smashed, middle = 5 * 8 * 4, 5 * 8 * 5
    # 28 numbers of a client, 25 of an edge server.
    assert {phase: n for phase, n in moved.items() if n} == {
        "uplink": 2 * (smashed + 40), "relay_up": 2 * (middle + 40), "relay_down": 2 * middle, "downlink": 2 * smashed,
        "model_uplink": 2 * 224, "model_relay_up": 2 * (224 + 200), "model_relay_down": 2 * (224 + 200),
        "model_downlink": 2 * 224,
    }  # fmt: skip


def test_mp_sl_is_a_loop_of_networks_that_are_averaged_part_by_part() -> None:
    setup = setup_for("mp_sl", 3)  # 14, 13 and 13 samples: three mini-batches each
    world, loop = trained(setup, N_ROUNDS, "mp_sl"), Parts(setup, copies=True)
    sizes, clients = [len(shard) for shard in setup.shards], range(3)
    n = setup.batches.size(0)
    assert [-(-size // n) for size in sizes] == [3, 3, 3]
    for turn in range(N_ROUNDS):
        for client in clients:
            for step in range(3 * turn, 3 * turn + 3):
                loop.backward(client, step)
                loop.step({f"{owner}-{client}": 1 for owner in ("client", "helper", "server")})
        for owner in ("client", "helper", "server"):
            loop.average([f"{owner}-{client}" for client in clients], sizes)
    for owner in ("client", "helper", "server"):
        for client in clients:
            ours = world.learner.states[f"{owner}-{client}"].value.parameters
            assert distance(ours, loop.of(f"{owner}-{client}")) < CLOSE, owner


def test_mp_sl_evaluates_every_clients_own_copies_between_averages() -> None:
    setup = setup_for("mp_sl", 2)
    every = {"every": 2}
    world = trained(
        setup,
        1,
        "mp_sl",
        server_schedule={"kind": "copies", **every},
        client_sync={"kind": "average", **every},
    )
    loop = Parts(setup, copies=True)
    for client in range(2):
        loop.backward(client, 0)
        loop.step({f"{owner}-{client}": 1 for owner in ("client", "helper", "server")})
    test = setup.data.test
    with torch.no_grad():
        expected = []
        for network in loop.networks:
            output = torch.from_numpy(test.inputs).double()
            for _, block in network:
                output = block(output)
            expected.append(float((output.argmax(1).numpy() == test.labels).mean()))
    world.learner.evaluate(("clients",))
    found = [
        row.accuracy
        for row in world.learner.observed.accuracies
        if row.client is not None and row.client >= 0
    ]
    assert found == pytest.approx(expected)


def lone_batches() -> LearningSetup:
    setup = setup_for("mp_sl", 2)
    return replace(setup, shards=[np.arange(5), np.arange(5, 10)])


def played(setup: LearningSetup, **settings: Any) -> Stage:
    return stage(setup, rates=(1.0, 1.0)).run(frameworks["mp_sl"](**settings), 1)


def test_compute_nodes_are_a_pipeline_over_clients() -> None:
    world = played(lone_batches())
    # One client's mini-batch is at the server while the next one's is at the helper, there and back.
    helper = [(p, s, e) for p, s, e in world.spans("helper") if not p.startswith("relay_up")]
    for (phase, start, end), expected in zip(
        helper,
        [
            ("relay_forward", 1.0, 2.5),
            ("relay_forward", 2.5, 4.0),
            ("relay_step", 8.75, 11.25),
            ("relay_step", 11.75, 14.25),
            ("average", 16.25, 16.75),
        ],
        strict=True,
    ):
        assert (phase, round(start, 6), round(end, 6)) == expected
    server = [(p, s, e) for p, s, e in world.spans("server") if not p.startswith(("relay_down", "feature"))]
    for (phase, start, end), expected in zip(
        server,
        [
            ("relay_forward", 2.5, 4.0),
            ("relay_forward", 4.0, 5.5),
            ("server_step", 5.75, 8.75),
            ("server_step", 8.75, 11.75),
            ("average", 16.25, 16.75),
        ],
        strict=True,
    ):
        assert (phase, round(start, 6), round(end, 6)) == expected
    assert world.env.now == pytest.approx(17.25, abs=1e-6)


def test_no_label_leaves_a_client_of_mp_sl() -> None:
    world = played(lone_batches())
    moved = Counter[str]()
    for span in world.recorder.spans:
        moved[span.phase] += span.size_bytes
    cut, middle, features = 5 * 8 * 4, 5 * 8 * 5, 5 * 8 * 6
    ends = 8 * (6 * 4 + 4 + 6 * 3 + 3)
    assert {phase: n for phase, n in moved.items() if n} == {
        "uplink": 2 * cut, "relay_up": 2 * middle, "feature_downlink": 2 * features,
        "feature_uplink": 2 * (features + 8), "relay_down": 2 * middle, "downlink": 2 * cut,
        "model_uplink": 2 * ends, "model_downlink": 2 * ends,
    }  # fmt: skip


def test_a_federated_average_of_the_whole_network_is_its_limit() -> None:
    setup = setup_for("mp_sl", 3, client=sgd(0.1), server=sgd(0.1))
    parts = trained(setup, 5, "mp_sl")
    whole = trained(replace(setup, segments=None), 5, "splitfed_v1")
    assert distance(of_client(parts, 0)[:2], of_client(whole, 0)) < CLOSE


# What is refused.


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"framework": "hierarchical_sfl"}, "is made for shape tiers, and this is split"),
        (
            {"framework": "mp_sl"},
            "is made for shape chain or u_shape, and this is split; write 'shape: {kind: chain",
        ),
        (
            {
                "framework": "mp_sl",
                "shape": {"kind": "chain", "helpers": [{"device": "jetson-nano", "cut": 2}]},
            },
            "labels and the last blocks stay on clients in mp_sl",
        ),
        (
            {
                "framework": "mp_sl",
                "model": {"hidden": [8, 8]},
                "shape": {"kind": "chain", "helpers": [{"device": "jetson-nano", "cut": 2}], "tail": 1},
            },
            "before the server's: it has none left",
        ),
        (
            {
                "framework": {"kind": "hierarchical_sfl", "client_sync": "average"},
                "shape": {"kind": "tiers", "edges": 2, "cut": 2},
            },
            "averages in tiers; write hierarchical",
        ),
        ({"framework": {"kind": "cpsl", "clusters": [[0, 1], [1, 3]]}}, "each of the 4 clients once"),
        ({"framework": {"kind": "cpsl", "clusters": 9}}, "write 4 or fewer"),
        (
            {"framework": {"kind": "cpsl", "client_sync": "average"}},
            "averages at the end of each cluster's turn",
        ),
        ({"framework": {"kind": "cpsl", "server_schedule": "copies"}}, "one server-side model"),
        (
            {"framework": {"kind": "cpsl", "lateness": {"kind": "quorum", "k": 2, "late": "used_next"}}},
            "in another cluster's turn",
        ),
        ({"framework": {"kind": "sglr", "server_schedule": "sum"}}, "or power: 0"),
        ({"framework": {"kind": "sglr", "server_schedule": "copies"}}, "to average at the cut"),
        ({"framework": {"kind": "sglr", "active": 0}}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        simulate(load_dict(small_scenario(**sections)), dry=True)


def test_shipped_scenarios_of_these_methods_know_their_shapes() -> None:
    for kind in ("hierarchical_sfl", "mp_sl"):
        scenario = load(f"frameworks/{kind}")
        assert scenario.shape.stations()
        assert scenario.framework.kind == kind
