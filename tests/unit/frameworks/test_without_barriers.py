"""Protocols without barriers: no update is lost, and weights are those of plain loops in the order of the clock."""

from __future__ import annotations

from typing import Any

import pytest

from gapslsim.errors import ProtocolError, StalledError
from gapslsim.frameworks.framework import Framework
from gapslsim.frameworks.stage import Late, Process, Stage
from gapslsim.registry import component
from tests.plain_loops import PlainLoop, largest_difference, watch
from tests.protocols import CUT, MEAN, OWN, Buffered, PerArrival, Pipelined, SplitFedV1, step, train, upload
from tests.support import Stage as Place
from tests.support import small_setup, stage

PROTOCOLS: dict[str, Framework] = {
    "a step per arrival": PerArrival(),
    "several server-side states": PerArrival(copies=3),
    "two mini-batches in flight": Pipelined(),
    "two mini-batches in flight, several server-side states": Pipelined(copies=3),
    "a server-side copy per client, averaged": SplitFedV1(),
    "a step per two arrivals": Buffered(k=2),
    "a step per three arrivals": Buffered(k=3),
}


def place(n_clients: int = 5, **more: Any) -> Place:
    setup = small_setup(n_clients, n_train=60, batch_size=4)
    unlike = {"rates": (3.0, 1.0, 0.7, 1.3, 2.0), "server_rate": 9.0, "latency_s": 0.1}
    return stage(setup, **(unlike | more))


@pytest.mark.parametrize("rates", ["unlike", "equal"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_weights_are_those_of_plain_loops_in_the_order_of_the_clock(name: str, rates: str) -> None:
    made = place(rates=(1.0,) * 5) if rates == "equal" else place()
    watched = watch(made.learner)
    made.run(PROTOCOLS[name], 4)
    plain = PlainLoop(made.learner.setup).apply(watched)
    steps = [entry for entry in watched.log if entry[0] == "step"]
    assert len(steps) >= 5
    assert largest_difference(made.learner, plain) < 1e-12
    assert (
        made.learner.server_steps
        == len(steps)
        == len([s for s in made.recorder.spans if s.phase == "server_step"])
    )


@pytest.mark.parametrize("copies", [1, 2])
def test_every_server_step_on_the_clock_is_an_update_in_the_state(copies: int) -> None:
    made = place(6).run(PerArrival(copies=copies), 3)
    names = ["server", "server-1"][:copies]
    updates = [made.learner.states[name].value.n_updates for name in names]
    assert sum(updates) == 6 * 4 * 3
    assert sum(span.phase == "server_step" for span in made.recorder.spans) == 72


def test_backward_passes_have_the_steps_and_weights_of_their_own_forward_passes() -> None:
    made = place(1)
    watched = watch(made.learner)
    made.run(Pipelined(n_batches=6), 1)
    forward = [about.step for name, about, *_ in watched.log if name == "forward"]
    backward = [about.step for name, about, *_ in watched.log if name == "backward"]
    assert forward == backward == list(range(6))
    order = [name for name, *_ in watched.log if name in ("forward", "backward")]
    assert order[:3] == ["forward", "forward", "backward"]  # two are in flight


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_dry_timeline_is_the_real_one(name: str) -> None:
    real, dry = (place(dry=dry).run(PROTOCOLS[name], 3) for dry in (False, True))
    assert dry.recorder.timeline_sha256() == real.recorder.timeline_sha256()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_phases_of_a_client_sum_to_the_elapsed_time(name: str) -> None:
    made = place(dry=True).run(PROTOCOLS[name], 3)
    for client in range(5):
        spans = [span for span in made.recorder.spans if span.client == client]
        assert sum(s.end_s - s.start_s - s.overlap_s for s in spans) == pytest.approx(made.env.now, abs=1e-9)
        assert min(span.start_s for span in spans) == 0.0
        assert max(span.end_s for span in spans) == made.env.now


def test_a_step_that_takes_two_mini_batches_of_one_client_answers_each() -> None:
    @component
    class TwoAtOnce(Framework):
        kind: str = "two_at_once"

        def round(self, w: Stage) -> Process[None]:
            one = yield from upload(w, 0)
            two = yield from upload(w, 0)
            reply = yield from step(w, [two, one])
            yield from train(w, one, reply)
            yield from train(w, two, reply)

        def samples_per_round(self, batch_sizes: Any, shard_sizes: Any) -> float:
            return 2 * sum(batch_sizes)

    made = place(1)
    watched = watch(made.learner)
    made.run(TwoAtOnce(), 3)
    plain = PlainLoop(made.learner.setup).apply(watched)
    assert largest_difference(made.learner, plain) < 1e-12


def _told(process: Any) -> str:
    """The error that a protocol gets from what it asks for."""

    @component
    class Asks(Framework):
        kind: str = "asks"

        def round(self, w: Stage) -> Process[None]:
            yield from process(w)

        def samples_per_round(self, batch_sizes: Any, shard_sizes: Any) -> float:
            return 1.0

    with pytest.raises((ProtocolError, StalledError)) as told:
        place(2).run(Asks(), 1)
    return str(told.value)


def test_what_has_no_meaning_is_refused_in_words() -> None:
    def twice(w: Stage) -> Process[None]:
        smashed = yield from upload(w, 0)
        reply = yield from step(w, [smashed])
        yield from train(w, smashed, reply)
        yield from train(w, smashed, reply)

    def of_somebody_else(w: Stage) -> Process[None]:
        smashed = yield from upload(w, 0)
        reply = yield from step(w, [smashed])
        yield from w.client(1).compute(w.learner.client_backward(1, reply, OWN))

    def by_index(w: Stage) -> Process[None]:
        one = yield from upload(w, 0)
        two = yield from upload(w, 0)
        reply = yield from step(w, [one, two])
        yield from w.client(0).compute(w.learner.client_backward(0, reply, OWN))

    def nothing(w: Stage) -> Process[None]:
        yield from w.server.compute(w.learner.server_step([], MEAN, CUT))

    def wrong_side(w: Stage) -> Process[None]:
        smashed = yield from upload(w, 0)
        yield from step(w, [smashed], model="client-0")

    def never(w: Stage) -> Process[None]:
        activity = w.spawn(w.pause(1.0))
        activity.cancel()
        yield from activity

    def too_many(w: Stage) -> Process[None]:
        yield from w.first([w.pause(1.0)], 2)

    assert "mini-batch 0 is asked for twice" in _told(twice)
    assert "took nothing of client 1" in _told(of_somebody_else)
    assert "reply.to(smashed)" in _told(by_index)
    assert "at least one client" in _told(nothing)
    assert "begin with 'server'" in _told(wrong_side)
    assert "cancelled" in _told(never)
    assert "ask for fewer" in _told(too_many)


def test_a_protocol_that_waits_for_what_never_comes_is_told_when_and_where() -> None:
    def deaf(w: Stage) -> Process[None]:
        yield from w.pause(2.0)
        yield w._env.event()  # type: ignore[attr-defined]

    assert "at 2 s, round 1: the framework waits for something that can never happen" in _told(deaf)


def test_a_late_upload_is_cancelled_and_leaves_the_others_their_time() -> None:
    """Client 1 takes 2 s to compute and 2.25 s to send; with 3 s it has moved 0.75 s worth of its 1600 bit."""

    @component
    class Deadline(Framework):
        kind: str = "deadline"

        def round(self, w: Stage) -> Process[None]:
            came = yield from w.together(w.within(3.0, upload(w, client)) for client in w.participants)
            smashed = [one for one in came if not isinstance(one, Late)]
            reply = yield from step(w, smashed)
            yield from w.together(train(w, one, reply) for one in smashed)

        def samples_per_round(self, batch_sizes: Any, shard_sizes: Any) -> float:
            return float(sum(batch_sizes))

    made = stage(small_setup(), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    watched = watch(made.learner)
    made.run(Deadline(), 1)
    assert made.spans("client-1") == [
        ("client_forward", 0.0, 2.0),
        ("cancelled_uplink", 2.0, 3.0),
        ("waiting", 3.0, pytest.approx(7.75)),
    ]
    late = next(span for span in made.recorder.spans if span.phase == "cancelled_uplink")
    assert late.size_bytes == 75  # 0.75 s at 800 bit/s
    assert late.energy_j == pytest.approx(0.25 * 1.0 + 0.75 * 3.0)  # idle while it propagates
    # Client 0 arrives at 2.25; the server waits for the deadline, then computes for one client.
    assert made.spans("server") == [("server_step", 3.0, 4.5)]
    assert made.spans("client-0")[-2:] == [
        ("downlink", 4.5, pytest.approx(5.75)),
        ("client_backward", pytest.approx(5.75), pytest.approx(7.75)),
    ]
    assert [name for name, *_ in watched.log] == ["forward", "forward", "step", "backward"]
    assert largest_difference(made.learner, PlainLoop(made.learner.setup).apply(watched)) < 1e-12
