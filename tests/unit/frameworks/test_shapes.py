"""Shapes beyond two parts: against plain PyTorch loops, on timelines worked out by hand, and for any segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path as Path_
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from gapslsim import load_dict, simulate
from gapslsim.errors import GapslsimError, ProtocolError, ScenarioError
from gapslsim.frameworks.framework import frameworks
from gapslsim.hardware.devices import load_device
from gapslsim.learning.codecs.float16 import Float16
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.relay_passes import RECEIVED
from gapslsim.learning.server_pass import server_pass
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.segments import Path, Segments, Stretch
from gapslsim.models.split import initial_blocks
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.models.zoo.vgg16 import Vgg16
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import Station
from gapslsim.planning.plan import plan
from gapslsim.results.results import Results
from gapslsim.scenario.cutting import cut_model
from gapslsim.scenario.dumping import dump
from tests.support import Stage, sgd, small_setup, stage
from tests.worlds import small_scenario

PSL = frameworks["psl"]()
MLP = Mlp(hidden=(4, 5, 6), cut=1, activation="tanh")
U = (Stretch("client", 0, 1), Stretch("server", 1, 3), Stretch("client", 3, 4))
CHAIN = (Stretch("client", 0, 1), Stretch("a", 1, 2), Stretch("b", 2, 3), Stretch("server", 3, 4))
TIERS = tuple((Stretch("client", 0, 1), Stretch(f"e{i}", 1, 2), Stretch("server", 2, 4)) for i in range(2))
SHAPES: dict[str, tuple[Path, ...]] = {
    "two parts": ((Stretch("client", 0, 2), Stretch("server", 2, 4)),) * 3,
    "u": (U, U, U),
    "chain": (CHAIN, CHAIN, CHAIN),
    "tiers": (TIERS[0], TIERS[1], TIERS[0]),
    "tiers and tail": (
        (Stretch("client", 0, 1), Stretch("e0", 1, 2), Stretch("server", 2, 3), Stretch("client", 3, 4)),
    )
    * 3,
}


def setup_of(paths: Sequence[Path], **settings: Any) -> LearningSetup:
    model = settings.pop("model", MLP)
    made = small_setup(len(paths), n_train=15 * len(paths), model=model, **settings)
    return replace(made, segments=Segments(tuple(paths)))


def played(setup: LearningSetup, n_rounds: int, framework: Any = PSL, **settings: Any) -> Stage:
    assert setup.segments is not None
    made = stage(setup, rates=[1.0] * setup.n_clients, **settings)
    return made.run(framework, n_rounds)


class _Half(torch.autograd.Function):
    """A hop in half precision, there and back."""

    @staticmethod
    def forward(ctx: Any, sent: torch.Tensor) -> torch.Tensor:
        return sent.half().to(sent.dtype)

    @staticmethod
    def backward(ctx: Any, sent: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return sent.half().to(sent.dtype)


class HalfHop(nn.Module):
    def forward(self, sent: torch.Tensor) -> torch.Tensor:
        return _Half.apply(sent)  # type: ignore[no-any-return, no-untyped-call]


def plain(
    setup: LearningSetup, n_rounds: int, hop: Callable[[], nn.Module] = nn.Identity
) -> tuple[dict[str, list[torch.Tensor]], list[float]]:
    """Parameters of each state and all losses of a loop in plain PyTorch: one autograd graph a mini-batch."""
    assert setup.segments is not None
    blocks: dict[tuple[str, int], nn.Module] = {}

    def block(client: int, owner: str, place: int) -> nn.Module:
        state = f"client-{client}" if owner == "client" else owner
        if (state, place) not in blocks:
            made = initial_blocks(setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed)
            blocks[state, place] = made[place][1].double()
        return blocks[state, place]

    ways = [
        [
            layer
            for s in path
            for place in range(s.first, s.last)
            for layer in ([hop()] if place == s.first else []) + [block(client, s.owner, place)]
        ][1:]
        for client, path in enumerate(setup.segments.paths)
    ]
    of_state: dict[str, list[torch.Tensor]] = {}
    for (state, _), module in sorted(blocks.items()):
        of_state.setdefault(state, []).extend(module.parameters())
    optimizers = [torch.optim.SGD(parameters, 0.1, 0.9) for parameters in of_state.values()]
    inputs = torch.from_numpy(setup.data.train.inputs).double()
    labels = torch.from_numpy(setup.data.train.labels)
    users = Counter(
        owner for path in setup.segments.paths for owner in {s.owner for s in path} if owner != "client"
    )
    losses = []
    for step in range(n_rounds):
        for optimizer in optimizers:
            optimizer.zero_grad()
        for client, way in enumerate(ways):
            rows = torch.from_numpy(setup.batches.indices(client, step))
            loss = nn.functional.cross_entropy(nn.Sequential(*way)(inputs[rows]), labels[rows])
            loss.backward()
            losses.append(float(loss.detach()))
        for state, n in users.items():
            for parameter in of_state[state]:
                assert parameter.grad is not None
                parameter.grad /= n
        for optimizer in optimizers:
            optimizer.step()
    return of_state, losses


@pytest.mark.parametrize("shape", SHAPES)
def test_every_weight_of_every_shape_is_that_of_a_plain_loop(shape: str) -> None:
    setup = setup_of(SHAPES[shape])
    ran, (expected, losses) = played(setup, 10), plain(setup, 10)
    np.testing.assert_allclose([row.loss for row in ran.learner.observed.losses], losses, rtol=0, atol=1e-10)
    for state, parameters in expected.items():
        found = ran.learner.states[state].value.parameters
        for ours, theirs in zip(found, parameters, strict=True):
            torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", ["u", "chain", "tiers", "tiers and tail"])
def test_codecs_are_applied_on_every_hop(shape: str) -> None:
    plain_setup = setup_of(SHAPES[shape])
    half = (Float16(),)
    setup = replace(plain_setup, codecs={"activations": half, "gradients": half})
    ran, (expected, _) = played(setup, 10), plain(setup, 10, HalfHop)
    for state, parameters in expected.items():
        for ours, theirs in zip(ran.learner.states[state].value.parameters, parameters, strict=True):
            torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-10)
    whole = played(plain_setup, 1)
    sizes = [
        {(s.actor, s.client, s.phase): s.size_bytes for s in made.recorder.spans if s.round == 1}
        for made in (ran, whole)
    ]
    for place, n_bytes in sizes[1].items():
        # Labels (40 bytes) and losses (8) travel as they are.
        beside = 8 if place[2] == "feature_uplink" else 40 if n_bytes % 5 == 0 and "up" in place[2] else 0
        beside = 0 if shape.endswith(("u", "tail")) and place[2] in ("uplink", "relay_up") else beside
        assert sizes[0][place] == (n_bytes - beside) / 4 + beside


def test_a_mini_batch_of_a_u_shape_takes_two_more_transfers() -> None:
    # Batches of 5 samples, 8 bytes a number: 4 units up, 6 units of features down and up.
    # 160 bytes up at 1280 bit/s take 1 s; features take 240 bytes.
    setup = setup_of([U], client=sgd(0.1))
    ran = played(setup, 1, uplinks=[1280.0], downlinks=[1920.0])
    spans = ran.spans("client-0")
    assert [phase for phase, _, _ in spans] == [
        "client_forward", "uplink", "server_compute", "feature_downlink", "client_loss", "feature_uplink",
        "server_compute", "downlink", "client_backward",
    ]  # fmt: skip
    # Forward 1 s; up 1 s; the server's forward 1.5 s; features 240 B at 240 B/s 1 s; the loss 1.75 s; 248 B at 160 B/s
    # 1.55 s; the step 3 s; 160 B at 240 B/s; backward 2 s.
    ends = np.cumsum([1.0, 1.0, 1.5, 1.0, 1.75, 1.55, 3.0, 160 / 240, 2.0])
    np.testing.assert_allclose([end for _, _, end in spans], ends)
    sizes = {s.phase: s.size_bytes for s in ran.recorder.spans if s.size_bytes}
    # No labels go up; with the gradient goes one number, the loss.
    assert sizes == {"uplink": 160, "feature_downlink": 240, "feature_uplink": 248, "downlink": 160}


def test_an_edge_server_steps_when_the_answers_of_its_own_clients_are_back() -> None:
    setup = setup_of(SHAPES["tiers"], client=sgd(0.1))
    names = [
        Station("e0", uplink=Constant(rate=8 * 240.0), downlink=Constant(rate=8 * 200.0)),
        Station("e1", uplink=Constant(rate=8 * 240.0), downlink=Constant(rate=8 * 200.0)),
    ]
    ran = stage(setup, rates=[1.0] * 3, stations=names).run(PSL, 1)
    # Each station has a link of its own, which all that it gets and sends shares. Forward passes end at 1 s; smashed
    # data of 5 samples with labels are 200 bytes: two take 2 s into e0. Its passes take 1.5 s, one after the other; 5
    # numbers a sample and labels go up, 240 bytes, in 1 s.
    edge = sorted(ran.spans("e0"))
    assert [phase for phase, _, _ in edge] == [*["relay_forward"] * 2, "relay_step", *["relay_up"] * 2]
    np.testing.assert_allclose([(start, end) for _, start, end in edge[:2]], [(3, 4.5), (4.5, 6)], atol=1e-6)
    np.testing.assert_allclose([(start, end) for _, start, end in edge[3:]], [(4.5, 5.5), (6, 7)], atol=1e-6)
    # The server's step takes 9 s for three, until 16 s; of answers of 200 bytes two share e0's link.
    back = [s for s in ran.recorder.spans if s.phase == "relay_down"]
    assert {(s.actor, s.size_bytes) for s in back} == {("server", 200)}
    np.testing.assert_allclose(sorted(s.end_s for s in back), [17, 18, 18], atol=1e-6)
    # e1 steps for one, 2.5 s, and e0 for two, 5 s, both before the slower of the two is done.
    ends = {s.actor: s.end_s for s in ran.recorder.spans if s.phase == "relay_step"}
    np.testing.assert_allclose([ends["e0"], ends["e1"]], [23, 19.5], atol=1e-6)
    # Cut gradients of 160 bytes leave by the station's link, 240 bytes a second; then 2 s of each client.
    done = {s.client: s.end_s for s in ran.recorder.spans if s.phase == "client_backward"}
    expected = [23 + 320 / 240 + 2, 19.5 + 160 / 240 + 2, 23 + 320 / 240 + 2]
    np.testing.assert_allclose([done[i] for i in range(3)], expected, atol=1e-6)


def test_a_chain_passes_everything_through_every_helper() -> None:
    setup = setup_of([CHAIN], client=sgd(0.1))
    ran = played(setup, 1)
    helpers = {name: [phase for phase, _, _ in ran.spans(name)] for name in ("a", "b")}
    assert helpers["a"] == ["relay_forward", "relay_up", "relay_step"]
    assert helpers["b"] == ["relay_forward", "relay_up", "relay_step", "relay_down"]
    sizes = [(s.actor, s.phase, s.size_bytes) for s in ran.recorder.spans if s.size_bytes]
    # 4, 5 and 6 units at the three cuts; five labels of 8 bytes go up with them.
    assert sizes == [
        ("client-0", "uplink", 5 * 8 * 4 + 40), ("a", "relay_up", 5 * 8 * 5 + 40), ("b", "relay_up", 5 * 8 * 6 + 40),
        ("server", "relay_down", 5 * 8 * 6), ("b", "relay_down", 5 * 8 * 5), ("client-0", "downlink", 5 * 8 * 4),
    ]  # fmt: skip


N_BLOCKS = 6
DEEP = Mlp(hidden=(4, 5, 6, 5, 4), cut=1, activation="tanh")


@st.composite
def segments(draw: st.DrawFn) -> tuple[Path, ...]:
    """Paths of two or three clients through up to two levels of up to two stations, with a tail or without."""
    n_clients, has_tail, n_levels = draw(st.integers(2, 3)), draw(st.booleans()), draw(st.integers(0, 2))
    n_parts = 2 + n_levels + has_tail
    bounds = [
        0,
        *sorted(draw(st.sets(st.integers(1, N_BLOCKS - 1), min_size=n_parts - 1, max_size=n_parts - 1))),
    ]
    ranges = list(pairwise([*bounds, N_BLOCKS]))
    paths = []
    for _ in range(n_clients):
        between = []
        for level in range(n_levels):
            # A station is below one other: what comes back to it comes from there.
            prefix = between[-1] if between and level else ""
            between.append(f"s{level}{draw(st.integers(0, 1))}" if not prefix else f"s{level}x")
        owners = ["client", *between, "server", *(["client"] if has_tail else [])]
        paths.append(tuple(Stretch(owner, *blocks) for owner, blocks in zip(owners, ranges, strict=True)))
    return tuple(paths)


@given(paths=segments(), kind=st.sampled_from(["psl", "gapsl", "sfl"]))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_segments_train_as_a_plain_loop_and_move_what_they_say(
    paths: tuple[Path, ...], kind: str
) -> None:
    setup = setup_of(paths, model=DEEP)
    ran = played(setup, 3, frameworks[kind](), fixed_costs=False)
    dry = played(setup, 3, frameworks[kind](), fixed_costs=False, dry=True)
    assert ran.recorder.timeline_sha256() == dry.recorder.timeline_sha256()
    if kind == "psl":
        expected, losses = plain(setup, 3)
        np.testing.assert_allclose(
            [row.loss for row in ran.learner.observed.losses], losses, rtol=0, atol=1e-10
        )
        for state, parameters in expected.items():
            for ours, theirs in zip(ran.learner.states[state].value.parameters, parameters, strict=True):
                torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-10)
    # Every block has one owner on each path, and every hop carries its activations up and their gradient down.
    per_round = Counter[str]()
    for path in paths:
        assert [block for part in path for block in range(part.first, part.last)] == list(range(N_BLOCKS))
        for before, after in pairwise(path):
            widths = [4, 5, 6, 5, 4]
            n = 5 * 8 * widths[before.last - 1]
            has_tail = path[-1].owner == "client"
            if after.owner == "client":
                per_round["feature_downlink"] += n
                per_round["feature_uplink"] += n + 8
            elif before.owner == "client":
                per_round["uplink"] += n + (0 if has_tail else 40)
                per_round["downlink"] += n
            else:
                per_round["relay_up"] += n + (0 if has_tail else 40)
                per_round["relay_down"] += n
    moved = Counter[str]()
    for span in ran.recorder.spans:
        if not span.phase.startswith("model_"):
            moved[span.phase] += span.size_bytes
    assert {phase: n for phase, n in moved.items() if n} == {phase: 3 * n for phase, n in per_round.items()}


SHARED: dict[str, Any] = {
    "model": {"kind": "mlp", "hidden": [12, 12, 12], "cut": 1},
    "evaluation": {"every": "1 rounds"},
}
OF_SCENARIO: dict[str, dict[str, Any]] = {
    "u_shape": {"kind": "u_shape", "tail": 1},
    "tiers": {"kind": "tiers", "edges": 2, "cut": 2},
    "chain": {
        "kind": "chain",
        "helpers": [{"device": "jetson-nano", "cut": 2}, {"device": "jetson-nano", "cut": 3}],
    },
}


def ran_as(shape: dict[str, Any], framework: Any = "psl", **how: Any) -> Results:
    sections = {name: how.pop(name) for name in ("stop", "network", "model") if name in how}
    return simulate(load_dict(small_scenario(**SHARED | sections, shape=shape, framework=framework)), **how)


def accuracies(results: Results) -> list[float]:
    return results.evaluations["accuracy"].tolist()


@pytest.mark.parametrize("framework", ["psl", "sl"])
def test_a_u_shape_without_a_tail_is_split_learning(framework: str) -> None:
    one, other = ran_as({"kind": "split"}, framework), ran_as({"kind": "u_shape", "tail": 0}, framework)
    for name in ("timeline_sha256", "learning_sha256"):
        assert one.summary[name] == other.summary[name]


def test_clients_in_turn_train_the_same_in_a_u_shape_as_in_two_parts() -> None:
    # One client at a time: the tail is handed on with the head, and nobody else has a part of the loss.
    assert accuracies(ran_as(OF_SCENARIO["u_shape"], "sl")) == accuracies(ran_as({"kind": "split"}, "sl"))


@pytest.mark.parametrize("kind", ["tiers", "chain"])
@pytest.mark.parametrize("framework", ["psl", "sfl", "sl"])
def test_with_one_machine_between_the_training_is_that_of_two_parts(kind: str, framework: str) -> None:
    shape = {"kind": "tiers", "edges": 1, "cut": 2} if kind == "tiers" else OF_SCENARIO["chain"]
    np.testing.assert_allclose(
        accuracies(ran_as(shape, framework)), accuracies(ran_as({"kind": "split"}, framework)), atol=1e-12
    )


def test_averages_in_two_levels_with_one_edge_server_are_those_of_the_parameter_server() -> None:
    sync = {"kind": "sfl", "client_sync": {"kind": "hierarchical", "cloud_every": 2}}
    tiers = ran_as({"kind": "tiers", "edges": 1, "cut": 2}, sync)
    np.testing.assert_allclose(accuracies(tiers), accuracies(ran_as({"kind": "split"}, "sfl")), atol=1e-12)
    # One model of clients and one of the edge server up and down, in two of four rounds: 8 * 12 + 12 and 12 * 12 + 12
    # numbers of 4 bytes.
    sizes = tiers.spans[tiers.spans["client"] < 0].groupby("phase")["size_bytes"].sum()
    assert sizes["model_relay_up"] == sizes["model_relay_down"] == 2 * 4 * (108 + 156)
    assert tiers.summary["bytes_between"] == sizes.sum()


def test_edge_servers_agree_after_an_average_in_the_cloud() -> None:
    sync = {"kind": "sfl", "client_sync": {"kind": "hierarchical", "every": 3, "cloud_every": 2}}
    results = ran_as(OF_SCENARIO["tiers"], sync, stop={"rounds": 2})
    last = results.evaluations[results.evaluations["round"] == 2]
    assert last[last["view"] == "clients"]["accuracy"].nunique() == 1
    assert ran_as(OF_SCENARIO["tiers"], stop={"rounds": 2}).evaluations["accuracy"].nunique() > 1


@pytest.mark.parametrize("kind", OF_SCENARIO)
@pytest.mark.parametrize("framework", ["gapsl", "sfl"])
def test_a_replay_and_a_run_that_goes_on_are_the_first_run(
    kind: str, framework: str, tmp_path: Path_
) -> None:
    journal = JournalSettings(tmp_path, checkpoint_every=2)
    norm = {"kind": "cnn", "channels": [4, 4, 4], "norm": "batch", "cut": 1}
    data = {"kind": "synthetic", "input_shape": [1, 8, 8], "n_classes": 4, "n_train": 240, "n_test": 80}

    # What encoding lost is in the next message, and so in checkpoints.
    lossy = {"kind": "top_k", "share": 0.3, "error_feedback": True}

    def run(rounds: int, **how: Any) -> Results:
        sections = SHARED | {"model": norm, "data": data, "stop": {"rounds": rounds}}
        sections["codec"] = {"activations": lossy, "gradients": lossy}
        return simulate(
            load_dict(small_scenario(**sections, shape=OF_SCENARIO[kind], framework=framework)), **how
        )

    first = run(3, journal=journal)
    again, longer = run(3, journal=journal), run(5, journal=journal)
    assert again.summary["learning_sha256"] == first.summary["learning_sha256"]
    assert again.summary["journal"]["computed"] == 0
    assert longer.summary["learning_sha256"] == run(5).summary["learning_sha256"]


def test_a_pass_that_draws_has_the_same_masks_forward_and_backward() -> None:
    # <features, gradient> of the pass that is made again is that of the features that were sent.
    model = Vgg16(width=0.05, classifier=(8,), dropout=0.5, cut=1)
    n_blocks = len(initial_blocks(model, (3, 32, 32), 3, 1))
    path = (
        Stretch("client", 0, 1),
        Stretch("server", 1, n_blocks - 1),
        Stretch("client", n_blocks - 1, n_blocks),
    )
    setup = setup_of([path, path], model=model, input_shape=(3, 32, 32))
    seen: dict[int, Any] = {}
    ran = stage(setup, rates=[1.0, 1.0], fixed_costs=False)
    engine: Any = ran.engine
    relay_forward, passes = engine.relay_forward, engine._server_pass
    engine.relay_forward = lambda *given: seen.setdefault(given[1], relay_forward(*given))
    inner: list[float] = []

    def watched(step: Any, *given: Any, **how: Any) -> Any:
        for batch, message in zip(step.batches, step.messages, strict=True):
            inner.append(float((message.labels * seen[batch.client].activations).sum()))
        found = server_pass(*given, criterion=RECEIVED, **how)
        np.testing.assert_allclose(found.losses.tolist(), inner, rtol=1e-10)
        return passes(step, *given, **how)

    engine._server_pass = watched
    ran.run(PSL, 1)
    assert engine.stretches.side(path[1].blocks).draws
    assert len(inner) == 2


def test_a_server_that_has_stepped_between_its_two_passes_is_refused() -> None:
    setup = setup_of([U, U])
    ran = stage(setup, rates=[1.0, 1.0], fixed_costs=False)
    learner = ran.learner
    learner.begin_round(1)

    def sent(client: int) -> Any:
        smashed = learner.client_forward(client).carry_out()
        return learner.client_loss(learner.relay_forward("server", smashed).carry_out()).carry_out()

    one, other = sent(0), sent(1)
    learner.server_step([one], PSL.server_rule, PSL.cut_rule).carry_out()
    with pytest.raises(ProtocolError, match="has stepped between its passes on mini-batch 0 of client 1"):
        learner.server_step([other], PSL.server_rule, PSL.cut_rule).carry_out()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"shape": {"kind": "u_shape", "tail": 3}}, "the server has none left; write 2 or less"),
        ({"shape": {"kind": "tiers", "cut": 1}}, "edge-server-0 end after 1 of 4"),
        ({"shape": {"kind": "tiers", "cut": 2, "at": ["access"]}}, "names 1 places for 2 edge servers"),
        ({"shape": OF_SCENARIO["u_shape"], "framework": "async_sl"}, "knows of client and server alone"),
        ({"shape": OF_SCENARIO["u_shape"], "framework": {"kind": "epsl", "phi": 0.5}}, "shared by broadcast"),
        (
            {"shape": OF_SCENARIO["u_shape"], "framework": {"kind": "gapsl", "gradient": "exact"}},
            "differentiates the server's gradients again",
        ),
        (
            {"framework": {"kind": "sfl", "client_sync": "hierarchical"}},
            "and there are none; write shape: tiers",
        ),
    ],
)
def test_what_a_shape_cannot_do_is_refused_in_words(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        simulate(load_dict(small_scenario(**SHARED | sections)), dry=True)


@pytest.mark.parametrize(
    ("network", "links"),
    [
        ({"kind": "star"}, {"edge-server-0": "access", "edge-server-1": "access"}),
        (
            {"kind": "shared_ap", "access_points": 2, "medium": "50 Mbit/s"},
            {"edge-server-0": "ap-0/radio", "edge-server-1": "ap-1/radio"},
        ),
        ({"kind": "two_tier", "edges": 2}, {"edge-server-0": "edge-0", "edge-server-1": "edge-1"}),
        (
            {"kind": "relay", "hops": 2, "hop": "50 Mbit/s"},
            {"edge-server-0": "relay-1", "edge-server-1": "relay-0"},
        ),
    ],
)
def test_stations_are_where_the_network_has_room_for_them(
    network: dict[str, Any], links: dict[str, str]
) -> None:
    scenario = load_dict(small_scenario(**SHARED, shape=OF_SCENARIO["tiers"], network=network))
    edges = {e.source: e.target for e in scenario.network.router(scenario.fleet).edges() if e.source in links}
    assert edges == links
    assert simulate(scenario, dry=True).summary["bytes_between"] > 0


def test_what_machines_between_take_while_idle_counts() -> None:
    tiers = simulate(load_dict(small_scenario(**SHARED, shape=OF_SCENARIO["tiers"])), dry=True)
    idle_w = load_device("jetson-orin-nx").power.idle_w
    # The server, two edge servers; all three take idle power at least.
    assert tiers.summary["energy_j"]["server"] >= 3 * idle_w * tiers.summary["simulated_time_s"]


def test_plans_time_each_shape_by_itself(tmp_path: Path_) -> None:
    made = small_scenario(
        **SHARED, shape=OF_SCENARIO["tiers"], plan={"choose": {"shape.cut": [2, 3]}, "rounds": 2}
    )
    file = tmp_path / "planned.yaml"
    file.write_text(dump(load_dict(made)))
    assert plan(file).table["round_time_s"].nunique() == 2


def test_clients_belong_to_the_edge_server_at_their_access_point() -> None:
    sections = small_scenario(
        **SHARED,
        shape=OF_SCENARIO["tiers"] | {"at": ["edge-0", "edge-1"]},
        network={"kind": "two_tier", "edges": 2},
    )
    for group, place in zip(sections["clients"], ("edge-1", "edge-0"), strict=True):
        group["access_point"] = place
    made = cut_model(load_dict(sections), (8,), 4)[1]
    assert made is not None
    assert [path[1].owner for path in made.paths] == [*["edge-server-1"] * 2, *["edge-server-0"] * 2]


def test_a_station_that_is_too_small_is_refused_by_its_name(tmp_path: Path_) -> None:
    model = {"kind": "mlp", "hidden": [12, 40_000, 40_000], "cut": 1}
    shape = OF_SCENARIO["chain"] | {"helpers": [{"device": "jetson-nano", "cut": 3}]}
    with pytest.raises(GapslsimError, match="helper-0"):
        simulate(load_dict(small_scenario(model=model, shape=shape)), dry=True)
