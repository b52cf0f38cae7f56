"""A server that keeps what frozen clients have sent: the same training, other bytes and times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gapslsim import load, simulate
from gapslsim.errors import GapslsimError
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.codecs.float16 import Float16
from gapslsim.learning.learner import Learner
from gapslsim.learning.setup import LearningSetup
from gapslsim.sim.fault import faults
from tests.support import Stage, small_setup, stage
from tests.unit.frameworks.test_server_schedules import Loop, distance, of_client, of_server
from tests.unit.frameworks.test_timelines import assert_spans
from tests.unit.frameworks.test_timelines import run as timed

ONCE = {"kind": "frozen", "upload": "once"}
ALWAYS = {"kind": "frozen"}
SAMPLE_BYTES = 4 * 8 + 8
"""Of a sample with its label, float64."""
QUICKSTART = Path(__file__).parents[3] / "scenarios" / "quickstart.yaml"


def unlike() -> LearningSetup:
    """Clients with 20, 13 and 4 samples in batches of 5, 5 and 4: batches that hold the end of an epoch and a begin."""
    made = small_setup(3)
    rows = np.arange(len(made.data.train))
    return replace(made, shards=[rows[:20], rows[20:33], rows[33:37]])


def trained(update: dict[str, Any], n_rounds: int = 9, kind: str = "psl", **settings: Any) -> Stage:
    made = stage(unlike(), rates=(1.0, 0.7, 0.3), uplinks=(1600, 900, 700), downlinks=(1280, 640, 500))
    return made.run(frameworks[kind](client_update=update, **settings), n_rounds)


def assert_same_training(one: Stage, other: Stage) -> None:
    left, right = one.learner, other.learner
    assert [row.loss for row in left.observed.losses] == [row.loss for row in right.observed.losses]
    for name in {*left.states, *right.states}:
        assert left.states[name].key == right.states[name].key
        pairs = zip(left.states[name].value.parameters, right.states[name].value.parameters, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("upload", ["once", "always"])
def test_splitfrozen_is_a_plain_loop_over_the_server(upload: str) -> None:
    world = stage(unlike()).run(
        frameworks["splitfrozen"](client_update={"kind": "frozen", "upload": upload}), 10
    )
    loop = Loop(unlike())
    server, optimizer = loop.servers[0], loop.of_servers[0]
    for step in range(10):
        optimizer.zero_grad()
        for client in range(3):
            inputs, labels = loop.batch(client, step)
            (F.cross_entropy(server(loop.clients[client](inputs).detach()), labels) / 3).backward()
        optimizer.step()
    assert distance(of_server(world), list(server.parameters())) < 1e-10
    for client in range(3):
        assert distance(of_client(world, client), list(loop.clients[client].parameters())) == 0


def uplink_bytes(world: Stage, client: int, phase: str = "uplink") -> list[int]:
    spans = [s for s in world.recorder.spans if s.phase == phase and s.client == client]
    return [int(span.size_bytes) for span in sorted(spans, key=lambda span: span.start_s)]


def test_once_all_is_kept_a_round_takes_the_server_alone() -> None:
    # 20 samples of each client in batches of 5: four rounds as of frozen clients (7.25 s), then 3 s of the server each.
    world = stage(small_setup(), server_rate=2.0, uplinks=(1600, 800), latency_s=0.25)
    world.run(frameworks["psl"](client_update=ONCE), 6)
    assert world.env.now == pytest.approx(4 * 7.25 + 2 * 3.0, abs=1e-9)
    assert_spans(world, "server", [("server_step", 7.25 * i + 4.25, 7.25 * i + 7.25) for i in range(4)]
                 + [("server_step", 29.0, 32.0), ("server_step", 32.0, 35.0)])  # fmt: skip
    assert world.spans("client-1")[-2:] == [("server_compute", 29.0, 32.0), ("server_compute", 32.0, 35.0)]
    assert uplink_bytes(world, 0) == uplink_bytes(world, 1) == [200] * 4


def test_the_first_round_is_that_of_clients_that_send_always() -> None:
    once, always = (timed("psl", client_update=update) for update in (ONCE, ALWAYS))
    assert once.recorder.timeline_sha256() == always.recorder.timeline_sha256()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("psl", {}),
        ("gapsl", {}),
        ("epsl", {"phi": 0.4}),
        ("psl", {"server_schedule": "joined"}),
        ("psl", {"server_schedule": "sum"}),
        ("psl", {"server_schedule": {"kind": "sequential", "order": "index"}}),
        ("psl", {"participation": {"kind": "sample", "k": 2}}),
    ],
    ids=str,
)
def test_training_is_that_of_always_to_the_last_bit_and_takes_less_time(
    kind: str, settings: dict[str, Any]
) -> None:
    once, always = (trained(update, kind=kind, **settings) for update in (ONCE, ALWAYS))
    assert_same_training(once, always)
    assert once.env.now < always.env.now
    assert once.learner.samples_seen == always.learner.samples_seen


def test_a_sample_is_sent_once_whatever_the_batches_hold() -> None:
    world = trained(ONCE)
    # 13 samples in batches of 5: 5, 5, then the last three with two of the next epoch; 4 in batches of 4.
    assert uplink_bytes(world, 0) == [5 * SAMPLE_BYTES] * 4
    assert uplink_bytes(world, 1) == [5 * SAMPLE_BYTES, 5 * SAMPLE_BYTES, 3 * SAMPLE_BYTES]
    assert uplink_bytes(world, 2) == [4 * SAMPLE_BYTES]
    assert {len(rows) for _, rows in world.learner.states.kept.values()} == {20, 13, 4}


def test_a_client_passes_the_samples_that_it_sends() -> None:
    world = stage(unlike(), fixed_costs=False).run(frameworks["psl"](client_update=ONCE), 4)
    passes = [e - s for phase, s, e in world.spans("client-1") if phase == "client_forward"]
    of_five = world.learner.costs.client_forward(5).work_flop
    assert passes == pytest.approx([of_five / 0.5, of_five / 0.5, of_five * 3 / 5 / 0.5])


def test_what_is_sent_is_the_part_that_was_not_kept() -> None:
    learner = stage(unlike()).learner
    first = learner.client_forward(1).carry_out()
    learner.keep(first)
    learner.keep(learner.client_forward(1, n_samples=learner.n_unsent(1)).carry_out())
    assert learner.n_unsent(1) == 3
    third = learner.client_forward(1, n_samples=3).carry_out()
    part = learner.unsent(third)
    assert part.size_bytes == 3 * SAMPLE_BYTES
    assert len(third.value.labels) == 5
    rows = [learner.setup.batches.indices(1, step).tolist() for step in range(3)]
    places = [i for i, row in enumerate(rows[2]) if row not in (*rows[0], *rows[1], *rows[2][:i])]
    assert len(places) == 3
    assert part.value.activations.equal(third.value.activations[places])
    assert part.value.labels.equal(third.value.labels[places])


def test_what_comes_too_late_is_sent_again() -> None:
    # Client 2 takes 10 s for its smashed data and is never waited for so long.
    late = {"kind": "deadline", "after": "8 s"}
    made = stage(unlike(), rates=(1.0, 1.0, 0.1))
    world = made.run(frameworks["psl"](client_update=ONCE, lateness=late), 4)
    assert set(world.learner.states.kept) == {0, 1}
    assert world.learner.n_unsent(2) == 4


@pytest.mark.parametrize("then", ["frozen", "own"])
def test_warm_up_keeps_what_is_sent_while_clients_are_frozen(then: str) -> None:
    once, always = (
        trained({"kind": "warmup", "rounds": 3, "then": then, "upload": upload})
        for upload in ("once", "always")
    )
    assert_same_training(once, always)
    frozen = 3 if then == "own" else 6
    sent = sum(uplink_bytes(once, 2))
    assert sent == (9 - frozen + 1) * 4 * SAMPLE_BYTES
    assert once.env.now < always.env.now


def test_warm_up_with_averages_is_frozen_at_the_last_mean() -> None:
    update = {"kind": "warmup", "rounds": 3, "upload": "once"}
    world = trained(update, kind="sfl")
    own = [world.learner.client_state(client).value.parameters for client in range(3)]
    assert all(a.equal(b) for other in own[1:] for a, b in zip(own[0], other, strict=True))
    assert {s.round for s in world.recorder.spans if s.phase == "model_uplink"} == {1, 2, 3}
    short = trained({"kind": "own"}, 3, kind="sfl")
    assert [world.learner.client_state(c).key for c in range(3)] == [
        short.learner.client_state(c).key for c in range(3)
    ]
    assert world.learner.states.kept[0][0] == short.learner.client_state(0).key


def test_a_server_that_crashes_has_what_had_arrived() -> None:
    crash = {"kind": "server_crash", "mean_up": "10 s", "mean_down": "5 s"}
    made = stage(unlike(), rates=(1.0, 0.7, 0.3), faults=[faults["server_crash"](**crash)])
    world = made.run(frameworks["psl"](client_update=ONCE), 9)
    assert any(span.phase.startswith("cancelled") for span in world.recorder.spans if span.actor == "server")
    whole = [sum(b for b in uplink_bytes(world, client)) for client in range(3)]
    assert whole == [20 * SAMPLE_BYTES, 13 * SAMPLE_BYTES, 4 * SAMPLE_BYTES]


def test_a_client_with_other_weights_sends_its_samples_again() -> None:
    learner: Learner = stage(unlike()).learner
    learner.keep(learner.client_forward(2).carry_out())
    assert learner.n_unsent(2) == 0
    learner.install(2, learner.weights(0), "reset")
    assert learner.n_unsent(2) == 4


def test_of_half_precision_half_the_bytes_are_sent_and_kept() -> None:
    setup = replace(unlike(), codecs={"activations": (Float16(),)})
    world = stage(setup).run(frameworks["psl"](client_update=ONCE), 4)
    assert uplink_bytes(world, 1) == [5 * 16, 5 * 16, 3 * 16]
    assert_same_training(world, stage(setup).run(frameworks["psl"](client_update=ALWAYS), 4))


def test_a_dry_run_has_the_timeline_of_the_real_one() -> None:
    real, dry = (
        stage(unlike(), fixed_costs=False, dry=dry).run(frameworks["psl"](client_update=ONCE), 6)
        for dry in (False, True)
    )
    assert real.recorder.timeline_sha256() == dry.recorder.timeline_sha256()


def quick(**changes: Any) -> Any:
    given = {"framework": "{kind: psl, client_update: {kind: frozen, upload: once}}", "stop": "{rounds: 3}"}
    return load(QUICKSTART, set=[f"{name}={value}" for name, value in {**given, **changes}.items()])


def test_a_journal_of_always_knows_the_training_of_once(tmp_path: Path) -> None:
    journal = tmp_path
    always = simulate(quick(framework="{kind: psl, client_update: frozen}"), journal=journal)
    once = simulate(quick(), journal=journal)
    assert once.summary["learning_sha256"] == always.summary["learning_sha256"]
    assert once.summary["bytes_up"] < always.summary["bytes_up"]
    assert once.summary["journal"]["computed"] == 0


def test_the_server_holds_every_sample_in_its_memory() -> None:
    once = simulate(quick(), dry=True).summary["memory"]
    always = simulate(quick(framework="{kind: psl, client_update: frozen}"), dry=True).summary["memory"]
    n_train = len(load(QUICKSTART).data.load(None, 1).train)
    assert once["server_kept_bytes"] == n_train * (16 * 4 * 4 * 4 + 8)
    assert once["server_bytes"] == always["server_bytes"] + once["server_kept_bytes"]
    assert "server_kept_bytes" not in always


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.augmentation": "{flip: true}"}, "change from mini-batch to mini-batch"),
        ({"codec": "{activations: {kind: quantise, bits: 8}}"}, "what quantise makes of a sample"),
        ({"codec": "{activations: {kind: float16, error_feedback: true}}"}, "on messages before it"),
        ({"model": "{kind: cnn, channels: [4, 4], cut: 1, norm: batch}"}, "mix the samples"),
        ({"model": "{kind: vgg16, width: 0.05, dropout: 0.5, cut: 14, resize: 32}"}, "draw random numbers"),
        ({"shape": "{kind: u_shape}"}, "upload: once"),
        (
            {"framework": "{kind: async_gapsl, client_update: {kind: frozen, upload: once}}"},
            "send every mini-batch",
        ),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused_in_words(changes: dict[str, str], words: str) -> None:
    with pytest.raises(GapslsimError, match=words):
        simulate(quick(**changes), dry=True)


def passes_of(world: Stage) -> list[tuple[int, int]]:
    """Client and step of the forward passes that its engine makes from now on."""
    engine, made = world.engine, []
    assert engine is not None
    forwards = engine.client_forwards

    def counted(calls: Any) -> Any:
        made.extend((call.batch.client, call.batch.step) for call in calls)
        return forwards(calls)

    engine.client_forwards = counted  # type: ignore[method-assign]
    return made


def test_once_a_client_is_known_and_tried_it_makes_no_pass_again() -> None:
    world = stage(unlike())
    made = passes_of(world)
    world.run(frameworks["psl"](client_update=ONCE), 12)
    # 20 samples: four mini-batches, and one to compare; 13: three, and one; 4: one, and one.
    assert [step for client, step in sorted(made) if client == 0] == [0, 1, 2, 3, 4]
    assert [step for client, step in sorted(made) if client == 1] == [0, 1, 2, 3]
    assert [step for client, step in sorted(made) if client == 2] == [0, 1]
    assert_same_training(world, stage(unlike()).run(frameworks["psl"](client_update=ALWAYS), 12))


def test_what_is_held_lies_in_memory_as_a_pass_leaves_it() -> None:
    """Convolutions round by how their inputs lie; what is held must not be another training for the next layers."""
    convolutions = {"model": "{kind: cnn, channels: [32, 32, 32], cut: 2}", "stop": "{rounds: 40}"}
    always = simulate(quick(framework="{kind: psl, client_update: frozen}", **convolutions))
    once = simulate(quick(**convolutions))
    assert once.summary["learning_sha256"] == always.summary["learning_sha256"]
    assert once.summary["simulated_time_s"] < always.summary["simulated_time_s"]


def test_where_a_bit_depends_on_the_place_in_the_batch_passes_are_always_made() -> None:
    world = stage(unlike())
    engine = world.engine
    assert engine is not None
    forwards = engine.client_forwards

    def uneven(calls: Any) -> Any:
        made = forwards(calls)
        factors = 1 + 1e-12 * torch.arange(5, dtype=torch.float64)[:, None]
        return [replace(one, activations=one.activations * factors[: len(one.labels)]) for one in made]

    engine.client_forwards = uneven  # type: ignore[method-assign]
    made = passes_of(world)
    world.run(frameworks["psl"](client_update=ONCE), 9)
    assert len(made) == 27


def test_features_beyond_the_limit_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    from gapslsim.learning import feature_store

    monkeypatch.setattr(feature_store, "MOST_BYTES", 37 * 4 * 8 - 1)
    world = stage(unlike())
    made = passes_of(world)
    world.run(frameworks["psl"](client_update=ONCE), 9)
    assert len(made) == 27
