"""Random protocols from all verbs of the stage, nested at random: whatever they do, the invariants hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapslsim.errors import ProtocolError
from gapslsim.frameworks.framework import Framework
from gapslsim.frameworks.stage import Activity, Process, Stage
from gapslsim.learning.engine import Engine
from gapslsim.learning.journal.journal import Journal, JournalSettings
from gapslsim.learning.learner import Learner
from gapslsim.registry import component
from tests.plain_loops import PlainLoop, largest_difference, watch
from tests.protocols import step, train, upload
from tests.support import Stage as Place
from tests.support import small_setup, stage

N_CLIENTS = 3
Program = tuple[Any, ...]

limits = st.sampled_from([0.0, 0.3, 1.0, 1.7, 3.0, 6.5, 20.0])
clients = st.integers(0, N_CLIENTS - 1)
models = st.sampled_from(["server", "server", "server-1"])
actions = st.one_of(
    st.tuples(st.just("train"), clients, models),
    st.tuples(st.just("train"), clients, models),
    st.tuples(st.just("forward"), clients),
    st.tuples(st.just("weights"), clients),
    st.tuples(st.just("mean")),
    st.tuples(st.just("broadcast")),
    st.tuples(st.just("pause"), limits),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.integers(0, 5), st.one_of(st.none(), limits)),
)


def nested(programs: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
    several = st.lists(programs, min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.just("sequence"), several),
        st.tuples(st.just("together"), several),
        st.tuples(st.just("first"), several, st.integers(0, 2)),
        st.tuples(st.just("within"), limits, programs),
        st.tuples(st.just("spawn"), programs),
    )


programs = st.recursive(actions, nested, max_leaves=9)


@component
class RandomProtocol(Framework):
    """Carries out a program in every round."""

    kind: str = "random"
    program: Any = None

    def run(self, w: Stage) -> Process[None]:
        spawned: list[Activity[Any]] = []
        for _ in w.rounds(self):
            yield from self._do(w, self.program, spawned)
            yield from w.pause(0.25)

    def _do(self, w: Stage, program: Program, spawned: list[Activity[Any]]) -> Process[Any]:
        what, *about = program
        yield from getattr(self, f"_{what}")(w, spawned, *about)

    def _train(self, w: Stage, _: Any, client: int, model: str) -> Process[None]:
        smashed = yield from upload(w, client)
        reply = yield from step(w, [smashed], model)
        yield from train(w, smashed, reply)

    def _forward(self, w: Stage, _: Any, client: int) -> Process[None]:
        yield from w.client(client).compute(w.learner.client_forward(client))

    def _weights(self, w: Stage, _: Any, client: int) -> Process[None]:
        yield from w.client(client).send(w.learner.weights(client), w.parameter_server, "model_uplink")

    def _mean(self, w: Stage, _: Any) -> Process[None]:
        sent = {client: w.learner.weights(client) for client in range(N_CLIENTS)}
        mean = yield from w.parameter_server.compute(w.learner.average(sent, "uniform"))
        w.learner.install(0, mean, "keep")

    def _broadcast(self, w: Stage, _: Any) -> Process[None]:
        arrivals = w.server.broadcast(w.learner.weights(0), w.clients(range(N_CLIENTS)), "model_downlink")
        yield from w.first(arrivals, 2)

    def _pause(self, w: Stage, _: Any, duration_s: float) -> Process[None]:
        yield from w.pause(duration_s)

    def _sequence(self, w: Stage, spawned: Any, several: Sequence[Program]) -> Process[None]:
        for program in several:
            yield from self._do(w, program, spawned)

    def _together(self, w: Stage, spawned: Any, several: Sequence[Program]) -> Process[None]:
        yield from w.together(self._do(w, program, spawned) for program in several)

    def _first(self, w: Stage, spawned: Any, several: Sequence[Program], n: int) -> Process[None]:
        _, rest = yield from w.first([self._do(w, p, spawned) for p in several], min(n, len(several)))
        spawned.extend(rest)

    def _within(self, w: Stage, spawned: Any, limit_s: float, program: Program) -> Process[None]:
        yield from w.within(limit_s, self._do(w, program, spawned))

    def _spawn(self, w: Stage, spawned: Any, program: Program) -> Process[None]:
        yield from ()
        spawned.append(w.spawn(self._do(w, program, spawned)))

    def _cancel(self, w: Stage, spawned: Any, index: int) -> Process[None]:
        yield from ()
        if index < len(spawned):
            spawned[index].cancel()

    def _wait(self, w: Stage, spawned: Any, index: int, limit_s: float | None) -> Process[None]:
        if index < len(spawned):
            with suppress(ProtocolError):  # It is cancelled. Without a limit one may wait for oneself.
                yield from spawned[index].wait(1.0 if limit_s is None else limit_s)

    def samples_per_round(self, batch_sizes: Any, shard_sizes: Any) -> float:
        return float(sum(batch_sizes))


def place(dry: bool = False, journal: Path | None = None) -> Place:
    setup = small_setup(N_CLIENTS, n_train=30, batch_size=3)
    made = stage(
        setup,
        rates=(3.0, 1.0, 0.7),
        server_rate=5.0,
        uplinks=(1600.0, 800.0, 400.0),
        downlinks=(1280.0, 640.0, 1280.0),
        backhaul=2000.0,
        latency_s=0.1,
        dry=dry,
    )
    if journal is not None:
        kept = Journal(JournalSettings(journal, checkpoint_every=1), setup.key, {}, {})
        engine = lambda: Engine(setup, torch.device("cpu"), torch.float64)  # noqa: E731
        learner = Learner(setup, engine, kept)
        learner.costs = made.learner.costs
        made.learner = made.world.learner = learner
    return made


def hold_invariants(made: Place, sent_bytes: float) -> None:
    """Of a run that has ended."""
    end_s = made.env.now
    spans = made.recorder.spans
    of_actor: dict[str, list[Any]] = defaultdict(list)
    for span in spans:
        assert 0 <= span.start_s <= span.end_s <= end_s
        assert span.energy_j >= -1e-9
        assert 0 <= span.overlap_s <= span.end_s - span.start_s + 1e-9
        of_actor[span.actor].append(span)
    for client in range(N_CLIENTS):
        own = of_actor[f"client-{client}"]
        assert sum(s.end_s - s.start_s - s.overlap_s for s in own) == pytest.approx(end_s, abs=1e-9)
    for actor, own in of_actor.items():  # a device computes one thing at a time
        computed = sorted((s.start_s, s.end_s) for s in own if _is_computation(actor, s.phase))
        assert all(a[1] <= b[0] + 1e-12 for a, b in pairwise(computed))
    moved = sum(span.size_bytes for span in spans)
    assert moved <= sent_bytes
    whole = [s for s in spans if s.size_bytes and not s.phase.startswith("cancelled_")]
    cut_off = [s for s in spans if s.phase.startswith("cancelled_") and s.phase.endswith("link")]
    assert made.network_sent == len(whole) + len(cut_off)  # type: ignore[attr-defined]
    steps = sum(span.phase == "server_step" for span in spans)
    assert made.learner.server_steps == steps


def _is_computation(actor: str, phase: str) -> bool:
    phase = phase.removeprefix("cancelled_")
    if not actor.startswith("client"):
        return True
    return phase in ("client_forward", "client_backward")


def run(made: Place, program: Program, n_rounds: int = 2) -> float:
    """Runs the program; returns the bytes that the network was given."""
    network = made.world._network
    send, broadcast = network.send, network.broadcast
    sent: list[float] = []

    def counting_send(source: str, target: str, size: float) -> Any:
        sent.append(size)
        return send(source, target, size)

    def counting_broadcast(source: str, targets: Sequence[str], size: float) -> Any:
        sent.extend([size] * len(targets))
        return broadcast(source, targets, size)

    network.send, network.broadcast = counting_send, counting_broadcast  # type: ignore[method-assign]
    made.run(RandomProtocol(program=program), n_rounds)
    made.network_sent = len(sent)  # type: ignore[attr-defined]
    return sum(sent)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(programs)
def test_any_protocol_keeps_time_energy_and_bytes(program: Program) -> None:
    made = place(dry=True)
    hold_invariants(made, run(made, program))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(programs)
def test_any_protocol_trains_as_plain_loops_do_and_replays(program: Program) -> None:
    dry, made = place(dry=True), place()
    watched = watch(made.learner)
    hold_invariants(made, run(made, program))
    run(dry, program)
    assert dry.recorder.timeline_sha256() == made.recorder.timeline_sha256()
    plain = PlainLoop(made.learner.setup).apply(watched)
    assert largest_difference(made.learner, plain) < 1e-12
    with TemporaryDirectory() as folder:
        for n in range(2):
            again = place(journal=Path(folder))
            run(again, program)
            journal = again.learner.journal
            assert journal is not None
            assert again.learner.observed.learning_sha256() == made.learner.observed.learning_sha256()
            assert again.recorder.timeline_sha256() == made.recorder.timeline_sha256()
            assert not n or journal.n_computed == 0
            for name in made.learner.states:
                left, right = (one.learner.states[name].value for one in (made, again))
                assert all(torch.equal(a, b) for a, b in zip(left.parameters, right.parameters, strict=True))
            journal.close()
