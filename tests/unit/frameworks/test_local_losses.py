"""Clients that train on a loss of their own: plain loops, timelines worked out by hand, exact bytes, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim import ScenarioError, load_dict, simulate
from gapslsim.assembly import assemble
from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.learning.auxiliary import Auxiliary
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build, initial_blocks
from gapslsim.results.store import load_results, write_results
from gapslsim.rng import stream, stream_seed
from tests.support import Stage, sgd, small_setup, stage
from tests.unit.frameworks.test_timelines import assert_spans
from tests.worlds import small_scenario

KINDS = ("cse_fsl", "locsplitfed", "fsl_sage")
NETWORK = Auxiliary(hidden=(5,), optimizer=sgd(0.05, momentum=0.5))


def unlike(network: Auxiliary) -> LearningSetup:
    """Clients with 20, 15 and 4 samples in batches of 5, 5 and 4."""
    made = small_setup(3)
    rows, sizes = np.arange(len(made.data.train)), (20, 15, 4)
    shards = [rows[end - n : end] for end, n in zip(np.cumsum(sizes), sizes, strict=True)]
    return replace(made, shards=shards, auxiliary=network)


def framework_of(kind: str, network: Auxiliary, **settings: Any) -> Framework:
    if kind == "fsl_sage":
        settings = {"align_every": 2, "align_epochs": 2, "align_batch": 7, "kept_samples": 12} | settings
    return frameworks[kind](auxiliary=network, **settings)


class Plain:
    """The algorithms with modules, `torch.autograd` and SGD; of gapslsim only weights, batches and streams."""

    def __init__(self, setup: LearningSetup, network: Auxiliary, kind: str, h: int) -> None:
        self.setup, self.kind, self.h, n = setup, kind, h, setup.n_clients
        shape = setup.data.input_shape
        built = [build(setup.model, shape, 3, setup.seed) for _ in range(n)]
        seed = stream_seed(setup.seed, "auxiliary")
        self.clients = [b.client.double() for b in built]
        self.servers = [b.server.double() for b in built]
        self.networks = [
            nn.Sequential(*(block for _, block in initial_blocks(network, (4,), 3, seed))).double()
            for _ in range(n)
        ]
        self.of_clients, self.of_servers = (
            [torch.optim.SGD(m.parameters(), 0.1, 0.9) for m in models]
            for models in (self.clients, self.servers)
        )
        self.of_networks = [torch.optim.SGD(m.parameters(), 0.05, 0.5) for m in self.networks]
        self.kept: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(n)]
        self.step = [0] * n
        self.round = 0
        self.losses: list[tuple[int, int, float]] = []

    def rounds(self, order: list[tuple[str, int, int]]) -> None:
        """Rounds whose server steps come in the order in which the clock had them.

        Args:
            order: (what, client, step), one after another: a client's local step, a step of the server, an alignment.
        """
        smashed: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        for what, client, step in order:
            if what == "round":
                self.average()
                self.round = step
            elif what == "local":
                self.local(client, step)
            elif what == "forward":
                rows = self.setup.batches.indices(client, step)
                train = self.setup.data.train
                inputs = torch.from_numpy(train.inputs[rows]).double()
                labels = torch.from_numpy(train.labels[rows])
                self.output = getattr(self, "output", {}) | {client: self.clients[client](inputs)}
                smashed[client, step] = self.output[client].detach(), labels
                self.labels = getattr(self, "labels", {}) | {client: labels}
            elif what == "server":
                self.serve(client, *smashed[client, step])
            else:
                self.align(client)
        self.average()

    def local(self, client: int, step: int) -> None:
        output, optimizers = self.output[client], [self.of_clients[client]]
        if self.kind != "fsl_sage":
            optimizers.append(self.of_networks[client])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = F.cross_entropy(self.networks[client](output), self.labels[client])
        self.losses.append((self.round, client, loss.item()))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()

    def serve(self, client: int, activations: Tensor, labels: Tensor) -> None:
        place = client if self.kind == "locsplitfed" else 0
        self.of_servers[place].zero_grad()
        F.cross_entropy(self.servers[place](activations), labels).backward()
        self.of_servers[place].step()
        kept = self.kept[client]
        kept.append((activations, labels))
        while len(kept) > 1 and sum(len(rows) for rows, _ in kept) > 12:
            kept.pop(0)

    def align(self, client: int) -> None:
        activations, labels = (torch.cat(column) for column in zip(*self.kept[client], strict=True))
        random = stream(self.setup.seed, "align", client, self.round)
        given = activations.clone().requires_grad_()
        of_each = F.cross_entropy(self.servers[0](given), labels, reduction="sum")
        (wanted,) = torch.autograd.grad(of_each, given)
        network, optimizer = self.networks[client], self.of_networks[client]
        for _ in range(2):
            for rows in torch.split(torch.from_numpy(random.permutation(len(labels))), 7):
                inputs = activations[rows].clone().requires_grad_()
                loss = F.cross_entropy(network(inputs), labels[rows])
                (found,) = torch.autograd.grad(loss, inputs, create_graph=True)
                optimizer.zero_grad()
                (found - wanted[rows] / len(rows)).square().sum().backward()
                optimizer.step()

    def average(self) -> None:
        sizes = np.array([len(shard) for shard in self.setup.shards])
        shared = [self.clients, *([self.networks] if self.kind != "fsl_sage" else [])]
        shared += [self.servers] if self.kind == "locsplitfed" else []
        for models in shared:
            with torch.no_grad():
                for same in zip(*(m.parameters() for m in models), strict=True):
                    mean = sum(n / sizes.sum() * p for n, p in zip(sizes, same, strict=True))
                    for parameter in same:
                        parameter.copy_(mean)


def watched(world: Stage) -> list[tuple[str, int, int]]:
    """Operations in the order of the clock."""
    log: list[tuple[str, int, int]] = []
    learner: Any = world.learner
    names = {
        "client_forward": "forward", "client_backward": "local", "server_step": "server", "align_auxiliary": "align",
    }  # fmt: skip

    def noting(name: str) -> None:
        make = getattr(learner, name)

        def made(*given: Any, **named: Any) -> Any:
            work = make(*given, **named)
            carry_out = work.carry_out

            def noted() -> Any:
                result, what = carry_out(), given[0]
                batch = {"client_forward": lambda: result.batch, "align_auxiliary": lambda: None}.get(
                    name, lambda: (what[0] if isinstance(what, list) else what).batch
                )()
                log.append(
                    (names[name], what, 0) if batch is None else (names[name], batch.client, batch.step)
                )
                return result

            work.carry_out = noted
            return work

        setattr(learner, name, made)

    for name in names:
        noting(name)
    begin = learner.begin_round
    learner.begin_round = lambda n: (begin(n), log.append(("round", -1, n)))
    return log


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("h", [1, 2])
def test_ten_rounds_are_those_of_a_plain_loop(kind: str, h: int) -> None:
    setup = unlike(network := replace(NETWORK, averaged=kind != "fsl_sage"))
    world = stage(setup, rates=(1.0, 0.7, 0.3), uplinks=(900, 600, 500), downlinks=(1280, 640, 500))
    log = watched(world)
    world.run(framework_of(kind, network, upload_every=h), 10)
    aligned = [entry for entry in log if entry[0] == "align"]
    assert len(aligned) == (15 if kind == "fsl_sage" else 0)
    loop = Plain(setup, network, kind, h)
    loop.round = 1
    # The first entry opens round 1, in which nothing has been averaged yet.
    assert log[0] == ("round", -1, 1)
    loop.rounds(log[1:])
    pairs = [(loop.clients[c], f"client-{c}") for c in range(3)]
    pairs += [(loop.networks[c], f"auxiliary-{c}") for c in range(3)]
    pairs += [(loop.servers[0], "server")]
    for module, name in pairs:
        ours = world.learner.states[name].value.parameters
        theirs = list(module.parameters())
        assert len(ours) == len(theirs) > 0
        assert max(float((a - b).detach().abs().max()) for a, b in zip(ours, theirs, strict=True)) < 1e-8
    seen = sorted((row.round, row.client, row.loss) for row in world.learner.observed.local_losses)
    assert [row[:2] for row in seen] == [row[:2] for row in sorted(loop.losses)]
    assert [row[2] for row in seen] == pytest.approx([row[2] for row in sorted(loop.losses)], abs=1e-8)


def test_with_every_mini_batch_sent_to_copies_cse_fsl_is_locsplitfed() -> None:
    setup = unlike(NETWORK)
    copies = {"kind": "copies", "every": "epoch", "weights": "samples"}
    one, other = (
        stage(setup).run(frameworks[kind](auxiliary=NETWORK, **settings), 3)
        for kind, settings in (
            ("cse_fsl", {"upload_every": 1, "server_schedule": copies}),
            ("locsplitfed", {}),
        )
    )
    for name in ("client-0", "auxiliary-2", "server-1"):
        assert one.learner.states[name].key == other.learner.states[name].key


def one_client(batches: int, **settings: Any) -> LearningSetup:
    made = small_setup(1, n_train=5 * batches)
    return replace(made, auxiliary=Auxiliary(**settings))


def test_a_client_trains_on_while_its_smashed_data_go_up_and_the_server_steps() -> None:
    # 5 samples of 4 float64 and a label of 8 B: 200 B = 1600 bit, 2 s. Forward 1 s, local loss 1 s, backward 2 s; a
    # step of the server 3 s. The client's 28 parameters (224 B) and the network's 15 (120 B) are averaged in the end.
    setup = one_client(2)
    world = stage(setup, uplinks=(800,), downlinks=(800,)).run(frameworks["cse_fsl"](upload_every=1), 1)

    def of(wanted: str) -> list[tuple[float, float]]:
        return [(start, end) for phase, start, end in world.spans("client-0") if phase == wanted]

    assert of("client_forward") == [(0, 1), (4, 5)]
    assert of("auxiliary_step") == [(1, 2), (5, 6)]
    assert of("client_backward") == [(2, 4), (6, 8)]
    assert of("uplink") == [(1, 3), (5, 7)]
    assert_spans(world, "server", [("server_step", 3, 6), ("server_step", 7, 10)])
    # Averages begin when the server has stepped: 2.24 s and 1.2 s up, 0.5 s for each mean, as long down.
    assert np.allclose(of("model_uplink"), [(10, 12.24), (12.24, 13.44)])
    assert np.allclose(of("model_downlink"), [(14.44, 16.68), (16.68, 17.88)])
    assert world.env.now == pytest.approx(17.88)


def test_in_a_round_of_alignment_a_client_waits_for_its_network() -> None:
    # The step on the first mini-batch ends at 6 s, the alignment at 10 s, the network (120 B) arrives 1.2 s later; its
    # own loss takes 0.5 s without a step of the network. The second mini-batch waits for nothing.
    setup = one_client(2, averaged=False)
    world = stage(setup, uplinks=(800,), downlinks=(800,)).run(
        frameworks["fsl_sage"](upload_every=1, align_every=2), 2
    )
    assert world.recorder.spans
    assert_spans(
        world,
        "server",
        [
            ("server_step", 3, 6), ("align_auxiliary", 6, 10),
            # Network there at 11.2, local loss until 11.7, backward until 13.7, forward until 14.7, uplink until 16.7.
            ("server_step", 16.7, 19.7),
            # Averages end at 19.7 + 2.24 + 0.5 + 2.24 = 24.68; the second round aligns nothing.
            ("server_step", 27.68, 30.68), ("server_step", 31.18, 34.18),
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "h", "n_sent"), [("cse_fsl", 2, 2), ("cse_fsl", 5, 1), ("locsplitfed", 1, 4)]
)
def test_bytes_are_those_of_what_is_sent(kind: str, h: int, n_sent: int) -> None:
    setup = one_client(4)
    world = stage(setup).run(frameworks[kind](upload_every=h), 1)
    sent = {phase: 0 for phase in ("uplink", "model_uplink", "model_downlink", "downlink")}
    for span in world.recorder.spans:
        if span.actor == "client-0" and span.phase in sent:
            sent[span.phase] += span.size_bytes
    weights = 28 * 8 + 15 * 8
    assert sent == {"uplink": n_sent * 200, "model_uplink": weights, "model_downlink": weights, "downlink": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_counted_once_whether_they_are_sent_or_not(kind: str) -> None:
    world = stage(unlike(NETWORK)).run(framework_of(kind, NETWORK, upload_every=3), 2)
    assert world.learner.samples_seen == 2 * (20 + 15 + 4)


def scenario(**settings: Any) -> dict[str, Any]:
    return small_scenario(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"framework": {"kind": "cse_fsl", "server_schedule": "mean"}}, "no client waits for the server"),
        ({"framework": {"kind": "cse_fsl", "auxiliary": {"pool": 4}}}, "channels and pool are for images"),
        ({"framework": {"kind": "cse_fsl", "upload_every": 0}}, "greater than 0"),
        ({"framework": {"kind": "fsl_sage"}, "codec": {"activations": "float16"}}, "loss of their own"),
        ({"framework": {"kind": "cse_fsl", "auxiliary": {"hidden": [0]}}}, "greater than 0"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        simulate(load_dict(scenario(**settings)), dry=True)


def test_a_killed_run_goes_on_with_what_the_server_had_kept(tmp_path: Path) -> None:
    given = scenario(framework={"kind": "fsl_sage", "align_every": 2, "upload_every": 1}, stop={"rounds": 5})
    whole = simulate(load_dict(given), journal=tmp_path / "whole")
    simulate(load_dict(given | {"stop": {"rounds": 2}}), journal=tmp_path / "parts")
    resumed = simulate(load_dict(given), journal=tmp_path / "parts")
    assert resumed.summary["learning_sha256"] == whole.summary["learning_sha256"]
    assert resumed.summary["timeline_sha256"] == whole.summary["timeline_sha256"]
    # Every client trains on each mini-batch of its epochs, sent or not; what was killed is seen again in the journal.
    again = simulate(load_dict(given), journal=tmp_path / "whole")
    assert again.summary["journal"]["computed"] == 0
    for run in (resumed, again):
        pd.testing.assert_frame_equal(run.local_losses, whole.local_losses)
    assert set(whole.local_losses["round"]) == {1, 2, 3, 4, 5}
    assert simulate(load_dict(given), dry=True).local_losses.empty
    stored = write_results(whole, tmp_path / "run")
    pd.testing.assert_frame_equal(load_results(stored).local_losses, whole.local_losses)


def test_it_is_not_measured_here() -> None:
    given = load_dict(scenario(framework={"kind": "cse_fsl"}))
    with pytest.raises(ScenarioError, match="trains auxiliary networks, which is simulated"):
        assemble(given, dry=False, clock=object())  # type: ignore[arg-type]
