"""Asynchronous frameworks: timelines worked out by hand, weights of plain loops, and what they are in the limit.

Devices, links and sizes are those of `test_lateness.py`: client 0 comes at 3 s, client 1 at 4 s, the server takes 3 s
per mini-batch, downlinks 2 s, backward passes 2 and 4 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gapslsim.frameworks.framework import Framework, frameworks
from gapslsim.frameworks.slots import server_updates
from gapslsim.frameworks.staleness import stalenesses
from gapslsim.learning.messages import Smashed
from gapslsim.learning.rules import Decision, Gradients
from gapslsim.sim.mailbox import SimulatedMailbox
from tests.plain_loops import PlainLoop, largest_difference, watch
from tests.support import Stage, small_setup, stage

SPANS = ("uplink", "server_step", "downlink", "client_backward")
KINDS: dict[str, dict[str, Any]] = {
    "async_sl": {},
    "buffered_sl": {"buffer": 2},
    "async_gapsl": {"buffer": 3},
    "async_sfl": {"every": 2, "models": 2},
    "pipelined_psl": {},
    "gas": {"every": 2, "models": 2, "generated": 3},
}


def made_of(kind: str, **settings: Any) -> Framework:
    return frameworks[kind](**(KINDS[kind] | settings))


def place(n_clients: int = 5, equal: bool = False, **more: Any) -> Stage:
    setup = small_setup(n_clients, n_train=60, batch_size=4)
    rates = (1.0,) * n_clients if equal else (3.0, 1.0, 0.7, 1.3, 2.0)
    return stage(setup, **({"rates": rates, "server_rate": 9.0, "latency_s": 0.1} | more))


def by_hand(kind: str, n_rounds: int, **settings: Any) -> Stage:
    made = stage(small_setup(2), uplinks=(800, 800), downlinks=(640, 640))
    return made.run(made_of(kind, **settings), n_rounds)


def steps_of(made: Stage) -> list[float]:
    """Beginning and end of each, one after the other [s]."""
    return [
        time_s for s in made.recorder.spans if s.phase == "server_step" for time_s in (s.start_s, s.end_s)
    ]


def test_a_server_step_per_arrival_in_the_order_of_arrival() -> None:
    made = by_hand("async_sl", 2)
    # Client 0 comes at 3 s, client 1 at 4 s. Client 0 has its answer at 8 s, trains until 10 s, computes its next
    # forward pass until 11 s and comes at 13 s; client 1: answer at 11 s, 15 s, 17 s, 19 s.
    assert steps_of(made) == pytest.approx([3, 6, 6, 9, 13, 16, 19, 22], abs=1e-9)
    assert [row[2:5] for row in made.learner.staleness_rows] == [(0, 0, 0), (1, 0, 1), (0, 1, 0), (1, 1, 0)]
    assert [row.weight for row in made.learner.staleness_rows] == pytest.approx([1, 2**-0.5, 1, 1])


def test_a_step_takes_a_whole_buffer() -> None:
    made = by_hand("buffered_sl", 2)
    # As PSL, but that client 0 does not wait for client 1 to train: it is back at 12 + 2 + 1 + 2 = 17 s.
    assert steps_of(made) == pytest.approx([4, 10, 20, 26], abs=1e-9)
    arrivals = [s.end_s for s in made.recorder.spans if s.phase == "uplink"]
    assert arrivals == pytest.approx([3, 4, 17, 20], abs=1e-9)


def test_a_pipeline_computes_the_next_mini_batch_while_the_gradient_is_under_way() -> None:
    made = by_hand("pipelined_psl", 2)
    forwards = [s for s in made.recorder.spans if s.phase == "client_forward" and s.client == 0]
    assert [s.start_s for s in forwards[:2]] == pytest.approx([0, 3], abs=1e-9)  # once the first has gone up
    # Both second mini-batches are there at 6 s and 8 s; the server is busy with the first until 10 s.
    assert steps_of(made) == pytest.approx([4, 10, 10, 16], abs=1e-9)
    assert [row.staleness for row in made.learner.staleness_rows] == [0, 0, 1, 1]


def test_client_models_are_merged_as_they_come() -> None:
    made = by_hand("async_sfl", 2, every=1, models=1)
    merges = [(s.start_s, s.actor) for s in made.recorder.spans if s.phase == "average"]
    size_bit = 8 * made.learner.weights(0).size_bytes
    # Client 0 has trained at 10 s and sends its weights.
    assert merges[0] == (pytest.approx(10 + size_bit / 800, abs=1e-9), "parameter-server")


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("async_gapsl", "gas")])
def test_weights_are_those_of_plain_loops_in_the_order_of_the_clock(kind: str, equal: bool) -> None:
    made = place(equal=equal)
    watched = watch(made.learner)
    made.run(made_of(kind), 4)
    plain = PlainLoop(made.learner.setup).apply(watched)
    steps = [entry for entry in watched.log if entry[0] == "step"]
    assert len(steps) >= 4
    assert largest_difference(made.learner, plain) < 1e-12
    assert made.learner.server_steps == len(steps) == len(steps_of(made)) // 2


def test_aligned_within_a_buffer_is_one_step_of_the_rule_on_weighted_gradients() -> None:
    made = place(5)
    with_all = made.run(made_of("async_gapsl", buffer=5, staleness=stalenesses["constant"]()), 1)
    psl = place(5).run(frameworks["gapsl"](), 1)
    for one, other in zip(
        with_all.learner.server_state.value.parameters, psl.learner.server_state.value.parameters, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    assert {row.staleness for row in place(5).run(made_of("async_gapsl"), 4).learner.staleness_rows} > {0}


@pytest.mark.parametrize("kind", list(KINDS))
def test_dry_and_real_have_one_timeline_and_phases_sum_to_the_elapsed_time(kind: str) -> None:
    real, dry = (place(dry=dry).run(made_of(kind), 3) for dry in (False, True))
    assert dry.recorder.timeline_sha256() == real.recorder.timeline_sha256()
    assert list(dry.learner.staleness_rows) == list(real.learner.staleness_rows)
    for client in range(5):
        spans = [span for span in real.recorder.spans if span.client == client]
        assert sum(s.end_s - s.start_s - s.overlap_s for s in spans) == pytest.approx(real.env.now, abs=1e-9)


@pytest.mark.parametrize("kind", ["async_sl", "pipelined_psl"])
def test_one_client_makes_the_steps_of_vanilla_sl(kind: str) -> None:
    one, sl = place(1), place(1)
    n_rounds = 5 if kind == "async_sl" else 1  # a pipeline has stale gradients from the second step on
    one.run(made_of(kind), n_rounds)
    sl.run(frameworks["sl"](), n_rounds)
    for left, right in zip(
        one.learner.server_state.value.parameters, sl.learner.server_state.value.parameters, strict=True
    ):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


def test_equal_clients_and_a_buffer_for_all_are_psl() -> None:
    buffered, psl = place(4, equal=True), place(4, equal=True)
    buffered.run(made_of("buffered_sl", buffer=4), 4)
    psl.run(frameworks["psl"](), 4)
    # A protocol without a barrier ends at the last update, before the clients have trained.
    assert steps_of(buffered) == pytest.approx(steps_of(psl), abs=1e-9)
    for left, right in zip(
        buffered.learner.server_state.value.parameters, psl.learner.server_state.value.parameters, strict=True
    ):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


def test_what_is_too_stale_is_dropped_and_its_client_goes_on() -> None:
    made = place()
    watched = watch(made.learner)
    made.run(made_of("async_sl", staleness=stalenesses["constant"](max_staleness=1)), 4)
    dropped = [row for row in made.learner.staleness_rows if not row.weight]
    assert dropped
    assert all(row.staleness > 1 for row in dropped)
    taken = {
        (batch.client, batch.step) for name, about, *_ in watched.log if name == "step" for batch in about
    }
    assert not taken & {(row.client, row.batch) for row in dropped}
    assert largest_difference(made.learner, PlainLoop(made.learner.setup).apply(watched)) < 1e-12


def test_weights_of_staleness_are_those_of_their_source() -> None:
    assert [stalenesses["constant"]().weight(s) for s in (0, 9)] == [1.0, 1.0]
    assert [stalenesses["polynomial"](a=0.5).weight(s) for s in (0, 3, 8)] == pytest.approx([1, 1 / 2, 1 / 3])
    assert [stalenesses["hinge"](a=10, b=4).weight(s) for s in (0, 4, 5, 6)] == pytest.approx(
        [1, 1, 1 / 11, 1 / 21]
    )
    assert stalenesses["hinge"](max_staleness=5).weight(6) == 0.0


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        ("buffered_sl", {"buffer": 3}, "buffer is 3, but there are 2 clients"),
        ("async_sl", {"lateness": {"kind": "quorum", "k": 1}}, "lateness cannot be limited"),
        ("async_sl", {"participation": {"kind": "sample", "k": 1}}, "every client takes part"),
        ("sl", {"lateness": {"kind": "quorum", "k": 1}}, "lateness in sl is wait or deadline"),
        (
            "sl",
            {"lateness": {"kind": "deadline", "after": 1.0, "late": "used_next"}},
            "lateness in sl is wait",
        ),
        ("psl", {"lateness": {"kind": "quorum", "k": 3}}, "lateness.k is 3, but a round has 2 participants"),
        ("psl", {"lateness": {"kind": "over_select", "extra": 1}}, "there are 2 clients"),
        ("pipelined_psl", {"lateness": {"kind": "deadline", "after": 1.0}}, "waits for everyone"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(kind: str, settings: Any, told: str) -> None:
    assert told in " ".join(frameworks[kind](**settings).problems(2))


def test_a_mailbox_gives_values_in_order_and_loses_none_to_a_taker_that_is_cancelled() -> None:
    made = place(1, dry=True)
    box: Any = made.world.mailbox()
    assert isinstance(box, SimulatedMailbox)
    taken: list[Any] = []

    def taking(n: int) -> Any:
        values = yield from box.take(n)
        taken.append((made.env.now, values))

    def putting() -> Any:
        for value in range(5):
            yield from made.world.pause(1.0)
            box.put(value)

    impatient = made.world.spawn(taking(9))
    made.world.spawn(putting())
    made.env.run(until=2.5)
    impatient.cancel()
    made.world.spawn(taking(3))
    made.env.run()
    assert taken == [(3.0, [0, 1, 2])]
    assert len(box) == 2


def test_gas_steps_with_the_mean_over_real_and_generated_samples_and_remembers_each_label() -> None:
    smashed = [
        Smashed(torch.tensor([[1.0, 2.0], [3.0, 2.0]]).double(), torch.tensor([0, 0])),
        Smashed(torch.tensor([[5.0, 7.0]]).double(), torch.tensor([2])),
    ]
    asked: list[Any] = []

    def at(activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        asked.append((activations, labels))
        return torch.tensor([10.0, 20.0]).double()

    def decide(memory: Any) -> Decision:
        return server_updates["gas"](generated=3, memory=0.5).decide(
            Gradients(
                torch.tensor([[1.0, 1.0], [4.0, 0.0]]).double(), torch.zeros(2), (0, 1), 1, None, {},
                np.random.default_rng(0), memory, smashed=smashed, at=at,
            )
        )  # fmt: skip

    first = decide({})
    # Two samples of the first row, one of the second, three generated: (2 * 1 + 4 + 3 * 10) / 6 and (2 + 0 + 60) / 6.
    assert first.update.tolist() == pytest.approx([36 / 6, 62 / 6])
    assert first.memory["count"].tolist() == [2, 0, 1]
    assert first.memory["mean"].tolist() == [[2, 2], [0, 0], [5, 7]]
    # Label 0 is the most frequent and label 1 was never seen: all that is generated is of label 2, whose one sample
    # has no spread.
    activations, labels = asked[0]
    assert labels.tolist() == [2, 2, 2]
    assert activations.tolist() == [[5, 7]] * 3
    second = decide({name: value for name, value in first.memory.items()})
    assert second.memory["count"].tolist() == [3, 0, 1.5]  # half of what was known, and what came
    assert second.memory["mean"].tolist() == [[2, 2], [0, 0], [5, 7]]


def test_gas_without_anything_to_balance_is_a_run_like_any_other() -> None:
    made = place().run(made_of("gas", buffer=2), 4)
    assert made.learner.server_state.value.memory["count"].sum() > 0
    step = next(s for s in made.recorder.spans if s.phase == "server_step")
    assert step.end_s > step.start_s
