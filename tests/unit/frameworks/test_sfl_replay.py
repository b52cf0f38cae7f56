"""SFL, then replay of what the server keeps: a plain loop, a timeline and bytes worked out by hand, refusals."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gapslsim import load, simulate
from gapslsim.errors import GapslsimError
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build
from gapslsim.rng import stream
from gapslsim.sim.fault import faults
from tests.support import Stage, small_setup, stage
from tests.unit.frameworks.test_timelines import assert_spans

SAMPLE_BYTES = 4 * 8 + 8
"""Of a sample with its label, float64."""
QUICKSTART = Path(__file__).parents[3] / "scenarios" / "quickstart.yaml"


def unlike() -> LearningSetup:
    """Clients with 20, 13 and 4 samples in batches of 5, 5 and 4."""
    made = small_setup(3)
    rows = np.arange(len(made.data.train))
    return replace(made, shards=[rows[:20], rows[20:33], rows[33:37]])


def ours(warm: int, n_rounds: int, **settings: Any) -> Stage:
    update = (
        {"kind": "warmup", "rounds": warm, "upload": "once"} if warm else {"kind": "frozen", "upload": "once"}
    )
    made = stage(unlike(), rates=(1.0, 0.7, 0.3), uplinks=(1600, 900, 700), downlinks=(1280, 640, 500))
    return made.run(frameworks["sfl_replay"](client_update=update, **settings), n_rounds)


class Plain:
    """The rule with modules and torch.optim, from its docstring; of gapslsim it has weights, shards and batches."""

    def __init__(self, setup: LearningSetup) -> None:
        self.setup = setup
        built = [build(setup.model, setup.data.input_shape, 3, setup.seed) for _ in range(3)]
        self.clients = [one.client.double() for one in built]
        self.server = built[0].server.double()
        self.of_clients = [torch.optim.SGD(one.parameters(), 0.1, 0.9) for one in self.clients]
        self.of_server = torch.optim.SGD(self.server.parameters(), 0.1, 0.9)
        self.steps = [0, 0, 0]

    def loss(self, client: int) -> Tensor:
        """Of the client's next mini-batch."""
        rows = self.setup.batches.indices(client, self.steps[client])
        self.steps[client] += 1
        train = self.setup.data.train
        smashed = self.clients[client](torch.from_numpy(train.inputs[rows]).double())
        return F.cross_entropy(self.server(smashed), torch.from_numpy(train.labels[rows]))

    def sfl_round(self) -> None:
        """Each client follows its own loss, the server their mean; then the clients are averaged."""
        optimizers = [*self.of_clients, self.of_server]
        for optimizer in optimizers:
            optimizer.zero_grad()
        for client in range(3):
            self.loss(client).backward()
        for parameter in self.server.parameters():
            assert parameter.grad is not None
            parameter.grad /= 3
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            for same in zip(*(one.parameters() for one in self.clients), strict=True):
                mean = torch.stack(list(same)).mean(0)
                for parameter in same:
                    parameter.copy_(mean)

    def send_all(self) -> None:
        """Each sends mini-batches until all of its samples have been in one."""
        for client, shard in enumerate(self.setup.shards):
            sent: set[int] = set()
            while len(sent) < len(shard):
                sent |= {*self.setup.batches.indices(client, self.steps[client]).tolist()}
                self.steps[client] += 1

    def replay(self, clients: list[int], n_steps: int) -> None:
        """Steps of the server on the mean of the losses of mini-batches, dealt out; clients stay as they are."""
        before = list(self.steps)
        places = [before[client] + clients[:i].count(client) for i, client in enumerate(clients)]
        for one in range(min(n_steps, len(clients))):
            self.of_server.zero_grad()
            losses = []
            for client, place in list(zip(clients, places, strict=True))[one::n_steps]:
                self.steps[client] = place
                losses.append(self.loss(client))
            torch.stack(losses).mean().backward()
            self.of_server.step()
        self.steps = [n + clients.count(client) for client, n in enumerate(before)]


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("warm", [0, 4])
def test_weights_are_those_of_a_plain_loop_ten_rounds_across_the_switch(warm: int, n_steps: int) -> None:
    world, plain = ours(warm, 10, replay_steps=n_steps), Plain(unlike())
    due: list[int] = []
    for round in range(1, 11):
        if round <= warm:
            plain.sfl_round()
            continue
        if round == warm + 1:
            plain.send_all()
        if len(due) < 3:
            # Four, three and one mini-batches make up the local epochs.
            drawn = stream(7, "replay", len(due), round).permutation([0, 0, 0, 0, 1, 1, 1, 2])
            due += drawn.tolist()
        taken, due = due[:3], due[3:]
        plain.replay(taken, n_steps)
    learner = world.learner
    states = [learner.server_state, *map(learner.client_state, range(3))]
    for state, module in zip(states, [plain.server, *plain.clients], strict=True):
        for one, other in zip(state.value.parameters, module.parameters(), strict=True):
            torch.testing.assert_close(one, other.detach(), rtol=0, atol=1e-8)
    assert learner.server_steps == warm + (10 - warm) * min(n_steps, 3)


def test_the_timeline_is_sfl_then_one_upload_then_the_server_alone() -> None:
    # A round of SFL takes 19.29 s (test_timelines.py), and four are an epoch of both. Then client 0 sends four
    # mini-batches in 1 + 1.25 s each, client 1 in 2 + 2.25 s; then a round is two steps on one mini-batch, 1.5 s each.
    world = stage(small_setup(), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    update = {"kind": "warmup", "rounds": 4, "upload": "once"}
    world.run(frameworks["sfl_replay"](client_update=update), 6)
    sent = 4 * 19.29 + 4 * 4.25
    after = [span for span in world.spans("server") if span[1] > 4 * 19.29]
    assert [phase for phase, *_ in after] == ["server_step"] * 4
    assert [start for _, start, _ in after] == pytest.approx([sent + 1.5 * i for i in range(4)], abs=1e-9)
    assert world.env.now == pytest.approx(sent + 6.0, abs=1e-9)
    spans = [
        (phase, start - 77.16, end - 77.16) for phase, start, end in world.spans("client-0") if start > 77
    ]
    upload = [
        one
        for i in range(4)
        for one in (("client_forward", 2.25 * i, 2.25 * i + 1), ("uplink", 2.25 * i + 1, 2.25 * i + 2.25))
    ]
    assert [phase for phase, *_ in spans[:8]] == [phase for phase, *_ in upload]
    assert [end for *_, end in spans[:8]] == pytest.approx([end for *_, end in upload], abs=1e-9)
    assert_spans(
        world, "parameter-server", [("average", 19.29 * i + 15.99, 19.29 * i + 16.24) for i in range(4)]
    )


def test_bytes_are_those_of_the_warm_up_and_of_each_sample_once() -> None:
    world = ours(4, 9)
    sent: Counter[tuple[str, int]] = Counter()
    for span in world.recorder.spans:
        if span.client is not None:
            sent[span.phase, span.client] += int(span.size_bytes)
    for client, (size, n) in enumerate([(5, 20), (5, 13), (4, 4)]):
        assert sent["uplink", client] == (4 * size + n) * SAMPLE_BYTES
        assert sent["downlink", client] == 4 * size * 4 * 8
        # 28 client-side parameters.
        assert sent["model_uplink", client] == sent["model_downlink", client] == 4 * 28 * 8


def test_with_a_warm_up_as_long_as_the_run_it_is_sfl() -> None:
    world, sfl = (
        ours(10, 10),
        stage(unlike(), rates=(1.0, 0.7, 0.3), uplinks=(1600, 900, 700), downlinks=(1280, 640, 500)),
    )
    sfl.run(frameworks["sfl"](), 10)
    assert world.recorder.timeline_sha256() == sfl.recorder.timeline_sha256()
    assert world.learner.server_state.key == sfl.learner.server_state.key
    assert [world.learner.client_state(c).key for c in range(3)] == [
        sfl.learner.client_state(c).key for c in range(3)
    ]


def test_clients_count_by_their_mini_batches_in_a_local_epoch() -> None:
    world = ours(0, 8, replay_steps=3)
    served = Counter(row.client for row in world.learner.observed.losses)
    # Eight rounds of three are three epochs of eight mini-batches.
    assert served == {0: 12, 1: 9, 2: 3}


def test_the_server_replays_clients_that_it_has_whole_and_others_go_on_sending() -> None:
    # Client 2 needs 10 s and more for what it sends, and is never waited for so long.
    late = {"kind": "deadline", "after": "60 s"}
    update = {"kind": "frozen", "upload": "once"}
    made = stage(unlike(), rates=(1.0, 0.05, 0.01))
    world = made.run(frameworks["sfl_replay"](client_update=update, lateness=late), 2)
    # Client 1 sends two of its three mini-batches in the first minute (20 s each, the third ends with the limit).
    assert {row.client for row in world.learner.observed.losses if row.round == 1} <= {0, 1}
    assert 2 not in {row.client for row in world.learner.observed.losses}
    assert set(world.learner.states.kept) == {0, 1}


@pytest.mark.parametrize("state", ["kept", "lost"])
@pytest.mark.parametrize("warm", [0, 3])
def test_clients_that_crash_as_they_send_send_again_and_the_others_are_replayed(
    warm: int, state: str
) -> None:
    crash = faults["crash"](rate=0.3, restart="5 s", state=state)
    update = (
        {"kind": "warmup", "rounds": warm, "upload": "once"} if warm else {"kind": "frozen", "upload": "once"}
    )
    dry, real = (
        stage(unlike(), faults=[crash], dry=dry).run(frameworks["sfl_replay"](client_update=update), 12)
        for dry in (True, False)
    )
    assert dry.recorder.timeline_sha256() == real.recorder.timeline_sha256()
    assert any(span.phase == "cancelled_client_forward" for span in real.recorder.spans)
    assert {row.client for row in real.learner.observed.losses if row.round > warm} == {0, 1, 2}
    for client, n in enumerate([20, 13, 4]):
        sent = sum(
            s.size_bytes
            for s in real.recorder.spans
            if s.phase == "uplink" and s.client == client and s.round > warm
        )
        assert sent >= n * SAMPLE_BYTES
        if state == "kept":
            assert sent == n * SAMPLE_BYTES


def test_a_schedule_of_the_rate_ends_with_the_run() -> None:
    update = "{kind: warmup, rounds: 10, upload: once}"
    given = [f"framework={{kind: sfl_replay, client_update: {update}}}", "stop={rounds: 30}"]
    made = load(QUICKSTART, set=[*given, "training.server.schedule=cosine"])
    results = simulate(made, dry=True)
    framework = frameworks["sfl_replay"](client_update={"kind": "warmup", "rounds": 10, "upload": "once"})
    assert framework.optimizer_steps(30, [16] * 10, [100] * 10) == (30, 10 + 2 * 20)
    steps = results.spans[results.spans.phase == "server_step"]
    assert len(steps[steps.actor == "server"]) == 10 + 2 * 20
    in_epochs = frameworks["sfl_replay"](client_update={"kind": "warmup", "epochs": 1.6, "upload": "once"})
    assert in_epochs.optimizer_steps(30, [16] * 10, [100] * 10) == (30, 10 + 2 * 20)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("client_update: own", "replays what frozen clients have sent"),
        ("client_update: {kind: warmup, rounds: 9}", "replays what frozen clients have sent"),
        ("client_update: {kind: warmup, rounds: 9, then: own, upload: once}", "replays what frozen clients"),
        ("server_schedule: joined", "knows mean alone"),
        ("cut_scale: mean", "knows mean alone"),
        ("client_sync: {kind: average, every: 2}", "frozen apart"),
        ("client_sync: {kind: average, every: epoch}", "local epoch"),
        ("replay_steps: 0", "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(settings: str, words: str) -> None:
    with pytest.raises(GapslsimError, match=words):
        load(QUICKSTART, set=[f"framework={{kind: sfl_replay, {settings}}}"])
