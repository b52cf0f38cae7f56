"""Shapes beyond two parts: against plain PyTorch loops, on timelines worked out by hand, and for any segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.segments import Path, Segments, Stretch
from gapslsim.models.split import initial_blocks
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import Station
from tests.support import Stage, sgd, small_setup, stage

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


def stations_of(paths: Sequence[Path]) -> list[Station]:
    names = {s.owner: s.first for path in paths for s in path if s.owner not in ("client", "server")}
    return [Station(name) for name in sorted(names, key=lambda name: (names[name], name))]


def played(setup: LearningSetup, n_rounds: int, framework: Any = PSL, **settings: Any) -> Stage:
    assert setup.segments is not None
    made = stage(setup, rates=[1.0] * setup.n_clients, stations=stations_of(setup.segments.paths), **settings)
    return made.run(framework, n_rounds)


def plain(setup: LearningSetup, n_rounds: int) -> tuple[dict[str, list[torch.Tensor]], list[float]]:
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
        [block(client, s.owner, place) for s in path for place in range(s.first, s.last)]
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
