"""Training with codecs: weight by weight against a plain PyTorch loop, and the bytes and seconds that it is charged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gapslsim import load, simulate
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.codec import codecs
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build
from gapslsim.rng import stream_seed
from tests.support import Stage, small_setup, stage

Plain = Callable[[Tensor, torch.Generator], Tensor]
"""A codec written out: the message and its random stream to what arrives."""


def two_bits(x: Tensor, _: torch.Generator) -> Tensor:
    low, step = x.min().float().double(), ((x.max() - x.min()) / 3).float().double()
    return low + ((x - low) / step).round().clamp(0, 3) * step


def dithered(x: Tensor, random: torch.Generator) -> Tensor:
    """Four bits for each feature, rounded by chance."""
    columns = []
    draws = torch.rand(x.T.shape, generator=random, dtype=x.dtype)
    for column, drawn in zip(x.T, draws, strict=True):
        low, step = column.min().float().double(), ((column.max() - column.min()) / 15).float().double()
        columns.append(low + ((column - low) / step + drawn).floor().clamp(0, 15) * step)
    return torch.stack(columns, 1)


def half_of_each(x: Tensor, _: torch.Generator) -> Tensor:
    kept = torch.zeros_like(x)
    for row, out in zip(x, kept, strict=True):
        for place in sorted(range(len(row)), key=lambda i: -abs(float(row[i])))[: len(row) // 2]:
            out[place] = row[place]
    return kept


def noisy(x: Tensor, random: torch.Generator) -> Tensor:
    clipped = torch.stack([row / max(1.0, float(row.norm()) / 1.5) for row in x])
    return clipped + 0.05 * torch.randn(x.shape, generator=random, dtype=x.dtype)


CODECS: dict[str, tuple[list[Any], list[Plain]]] = {
    "float16": ([codecs["float16"]()], [lambda x, _: x.half().double()]),
    "bfloat16": ([codecs["bfloat16"]()], [lambda x, _: x.bfloat16().double()]),
    "quantise": ([codecs["quantise"](bits=2)], [two_bits]),
    "stochastic": ([codecs["quantise"](bits=4, per="channel", rounding="stochastic")], [dithered]),
    "top_k": ([codecs["top_k"](share=0.5)], [half_of_each]),
    "noise": ([codecs["noise"](clip=1.5, scale=0.05)], [noisy]),
    "noise, then quantise": (
        [codecs["noise"](clip=1.5, scale=0.05), codecs["quantise"](bits=2)],
        [noisy, two_bits],
    ),
    "top_k, fed back": ([codecs["top_k"](share=0.5, error_feedback=True)], [half_of_each]),
    "quantise, fed back": ([codecs["quantise"](bits=2, error_feedback=True)], [two_bits]),
}


def plain_psl(
    setup: LearningSetup, rounds: int, plain: list[Plain], feeds_back: bool = False, follows: bool = False
) -> list[list[Tensor]]:
    """Parallel split learning as a loop: the weights of each client's model with the server's."""
    n, mlp = setup.n_clients, (setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed)
    clients = [build(*mlp).client.double() for _ in range(n)]
    server = build(*mlp).server.double()
    steps = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in (*clients, server)]
    inputs, labels = (
        torch.from_numpy(setup.data.train.inputs).double(),
        torch.from_numpy(setup.data.train.labels),
    )
    residuals: dict[tuple[str, int], Tensor] = {}

    def arrived(x: Tensor, way: str, client: int, step: int) -> Tensor:
        nodes = (f"client-{client}", "server") if way == "activations" else ("server", f"client-{client}")
        x = x.detach() + residuals.get((way, client), torch.zeros(1))
        out = x
        for place, codec in enumerate(plain):
            seed = stream_seed(setup.seed, "codec", way, *nodes, client, step, place)
            out = codec(out, torch.Generator().manual_seed(seed))
        if feeds_back:
            residuals[way, client] = x - out
        return out

    for t in range(rounds):
        for step in steps:
            step.zero_grad()
        sent, received = [], []
        for c, net in enumerate(clients):
            sent.append(net(inputs[torch.from_numpy(setup.batches.indices(c, t))]))
            received.append(arrived(sent[-1], "activations", c, t).requires_grad_())
        losses = [
            F.cross_entropy(server(z), labels[torch.from_numpy(setup.batches.indices(c, t))])
            for c, z in enumerate(received)
        ]
        cuts = [
            torch.autograd.grad(loss, z, retain_graph=True)[0]
            for loss, z in zip(losses, received, strict=True)
        ]
        (sum(losses) / n).backward()  # type: ignore[union-attr]
        for c, (z, cut) in enumerate(zip(sent, cuts, strict=True)):
            # By the chain rule what was not sent has no gradient, and what was sent is as it was.
            follow = cut * (received[c] != 0)
            z.backward(follow if follows else arrived(cut, "gradients", c, t))
        for step in steps:
            step.step()
    return [[p.detach() for net in (client, server) for p in net.parameters()] for client in clients]


def trained(setup: LearningSetup, rounds: int = 10, kind: str = "psl", **more: Any) -> Stage:
    return stage(setup, **more).run(frameworks[kind](), rounds)


def both_ways(*members: Any) -> dict[str, tuple[Any, ...]]:
    return {"activations": members, "gradients": members}


def weights(world: Stage, client: int) -> list[Tensor]:
    state, server = world.learner.client_state(client).value, world.learner.server_state.value
    return [*state.parameters, *server.parameters]


@pytest.mark.parametrize("name", CODECS)
def test_training_is_that_of_a_plain_loop_to_1e_10_after_ten_rounds(name: str) -> None:
    members, plain = CODECS[name]
    setup = small_setup(3, codecs=both_ways(*members))
    world = trained(setup)
    expected = plain_psl(setup, 10, plain, feeds_back="fed back" in name)
    uncoded = trained(small_setup(3))
    for client in range(3):
        for got, wanted in zip(weights(world, client), expected[client], strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)
        moved = zip(weights(world, client), weights(uncoded, client), strict=True)
        assert max(float((a - b).abs().max()) for a, b in moved) > 1e-6


def test_gradients_that_follow_are_those_of_the_chain_rule() -> None:
    coded = {"activations": (codecs["top_k"](share=0.5),)}
    setup = replace(small_setup(3, codecs=coded), gradients_follow=True)
    world, expected = trained(setup), plain_psl(setup, 10, [half_of_each], follows=True)
    for client in range(3):
        for got, wanted in zip(weights(world, client), expected[client], strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)
    # Two of four numbers of each of five samples, in float64, without places.
    assert {row.size_bytes for row in world.recorder.spans if row.phase == "downlink"} == {5 * 2 * 8}


def test_gradients_that_follow_a_dropout_are_those_of_what_was_sent() -> None:
    """All features kept and divided by 1: as without dropout, up to 16 bits."""
    members = (codecs["dropout_quantise"](share=1.0, bits=16),)
    follows = replace(small_setup(2, codecs={"activations": members}), gradients_follow=True)
    plain = small_setup(2, codecs={"activations": (codecs["quantise"](bits=16, per="channel"),)})
    for got, wanted in zip(weights(trained(follows), 0), weights(trained(plain), 0), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)
    some = replace(follows, codecs={"activations": (codecs["dropout_quantise"](share=0.5),)})
    world = trained(some, 2)
    assert {row.size_bytes for row in world.recorder.spans if row.phase == "downlink"} == {5 * 2 * 8}


@pytest.mark.parametrize("members", [(), (codecs["none"](),), (codecs["none"](), codecs["none"]())])
def test_codec_none_is_no_codec_down_to_every_key(members: tuple[Any, ...]) -> None:
    left, right = trained(small_setup(2, codecs=both_ways(*members)), 3), trained(small_setup(2), 3)
    assert left.learner.server_state.key == right.learner.server_state.key
    assert left.recorder.spans == right.recorder.spans


def test_bytes_and_seconds_are_those_worked_out_by_hand() -> None:
    """A batch of 5 samples with 4 numbers each, quantised to 8 bits: 4 + 4 + 20 bytes, and labels of 8 bytes each.

    Encoding takes 6 FLOP per number, decoding 2; devices make 10 FLOP in a second, links carry 8 bits.
    """
    link = {"uplinks": [8.0], "downlinks": [8.0], "rates": [10.0], "server_rate": 10.0, "fixed_costs": False}
    coded = small_setup(1, codecs=both_ways(codecs["quantise"]()))
    with_codec, without = trained(coded, 1, **link), trained(small_setup(1), 1, **link)

    def lengths(world: Stage) -> dict[str, float]:
        return {phase: end - start for phase, start, end in world.spans("client-0")}

    got, plain = lengths(with_codec), lengths(without)
    label_bytes = 5 * coded.data.label_bytes
    assert got["uplink"] == pytest.approx(28 + label_bytes)
    assert plain["uplink"] == pytest.approx(5 * 4 * 8 + label_bytes)
    assert got["downlink"] == pytest.approx(28)
    assert got["client_forward"] - plain["client_forward"] == pytest.approx(6 * 20 / 10)
    assert got["server_compute"] - plain["server_compute"] == pytest.approx((2 + 6) * 20 / 10)
    assert got["client_backward"] - plain["client_backward"] == pytest.approx(2 * 20 / 10)


def test_what_is_not_sent_is_not_encoded() -> None:
    """A client that is frozen gets no gradient: the server encodes none, and no residual of one is kept."""
    members = both_ways(codecs["top_k"](error_feedback=True))
    frozen = frameworks["psl"](client_update={"kind": "frozen"})
    world = stage(small_setup(2, codecs=members), fixed_costs=False).run(frozen, 2)
    assert {way for *_, way in world.learner.states.residuals} == {"activations"}
    plain = stage(small_setup(2), fixed_costs=False).run(frozen, 2)
    steps = [
        [end - start for phase, start, end in w.spans("client-0") if phase == "server_compute"]
        for w in (world, plain)
    ]
    # What the server decodes: 2 batches of 20 numbers.
    assert steps[0][0] - steps[1][0] == pytest.approx(40)


@pytest.mark.parametrize(
    "kind", ["sl", "epsl", "sfl", "gapsl", "async_sl", "buffered_sl", "pipelined_psl", "gas"]
)
def test_every_framework_dry_is_real_and_the_bytes_are_those_of_the_codec(kind: str) -> None:
    members = both_ways(codecs["top_k"](share=0.5, error_feedback=True), codecs["quantise"](bits=4))
    setup = small_setup(3, codecs=members)
    real, dry = (
        trained(setup, 4, kind, fixed_costs=False),
        trained(setup, 4, kind, fixed_costs=False, dry=True),
    )
    assert real.recorder.spans == dry.recorder.spans
    sizes = {row.size_bytes for row in real.recorder.spans if row.phase == "uplink"}
    # Per sample two places of 2 bits; two ranges in all; two codes of 4 bits per sample.
    assert sizes == {3 + 8 + 5 + 5 * setup.data.label_bytes}


def test_a_residual_is_lost_with_its_client() -> None:
    members = both_ways(codecs["top_k"](error_feedback=True))
    world = trained(small_setup(2, codecs=members), 2)
    states = world.learner.states
    assert len(states.residuals) == 4
    states.forget(0)
    assert {(sender, receiver) for sender, receiver, _ in states.residuals} == {
        ("client-1", "server"),
        ("server", "client-0"),
        ("server", "client-1"),
    }
    before = states.snapshot()
    states.residuals.clear()
    states.restore(before)
    assert {sender for sender, *_ in states.residuals} == {"server"}


SCENARIO = {
    "base": "scenarios/quickstart.yaml",
    "set": [
        "data={kind: synthetic, input_shape: [8], n_classes: 4, n_train: 120, n_test: 40, partition: iid}",
        "model={kind: mlp, hidden: [6], cut: 1}",
        "evaluation={every: 3 rounds, geometry: never}",
        "codec={activations: [{kind: top_k, error_feedback: true, share: 0.4, randomised: 0.2}], "
        "gradients: {kind: quantise, bits: 3, rounding: stochastic, error_feedback: true}}",
    ],
}


@pytest.mark.parametrize("framework", ["psl", "{kind: epsl, phi: 0.5}", "pipelined_psl", "async_sl", "sl"])
def test_a_run_is_gone_on_with_from_its_checkpoints_bit_for_bit(framework: str, tmp_path: Path) -> None:
    """With the residuals: they are in no state of a client or the server."""

    def run(rounds: int, journal: Path | None) -> Any:
        wanted = [*SCENARIO["set"], f"framework={framework}", f"stop={{rounds: {rounds}}}"]
        found = None if journal is None else JournalSettings(journal, checkpoint_every=2)
        return simulate(load(SCENARIO["base"], set=wanted), journal=found).summary

    whole = run(9, None)
    run(5, tmp_path)
    assert run(9, tmp_path)["learning_sha256"] == whole["learning_sha256"]  # goes on
    again = run(9, tmp_path)  # knows all
    assert again["learning_sha256"] == whole["learning_sha256"]
    assert again["timeline_sha256"] == whole["timeline_sha256"]
