"""Timelines of clients that go away, fail or come late, worked out by hand.

Clients 0 and 1 compute 1 and 0.5 FLOP/s: forward passes of 1 and 2 s, backward passes of 2 and 4 s. The server takes
3 s per mini-batch. Smashed data are 1600 bit, gradients 1280 bit; all links take 2 s for either (800 and 640 bit/s).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest

from gapslsim.errors import StalledError
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.lateness import latenesses
from gapslsim.registry import component
from gapslsim.sim.availability import Availability, availabilities
from gapslsim.sim.fault import Crash, Fate, Fault, ServerCrashes
from gapslsim.sim.faults.loss import Loss
from gapslsim.sim.patience import Retry
from tests.plain_loops import PlainLoop, largest_difference, watch
from tests.support import Stage, small_setup, stage

Spans = list[tuple[str, float, float]]
EXACT = 1e-9


@component
class Plan(Availability):
    """There and away at given times."""

    kind: Literal["plan"] = "plan"
    times: tuple[float, ...] = ()

    def changes(self, client: int, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        yield 0.0, True
        for place, time_s in enumerate(self.times):
            yield time_s, bool(place % 2)


@component
class Planned(Fault):
    """A fault whose every blow is said."""

    kind: Literal["planned"] = "planned"
    fates: tuple[str, ...] = ()
    """Of the uplinks of each client, in turn; then all arrive."""
    shares: tuple[float, ...] = ()
    """Of the computations of each client: above 0 it crashes there, for 1 s."""
    loses: bool = False
    slow: tuple[tuple[float, float], ...] = ()
    server: tuple[float, ...] = ()
    links: tuple[float, ...] = ()

    def fate(self, phase: str, random: np.random.Generator) -> Fate:
        place = _next(random)
        return self.fates[place] if place < len(self.fates) else "arrives"  # type: ignore[return-value]

    def crash(self, random: np.random.Generator) -> Crash | None:
        place = _next(random)
        share = self.shares[place] if place < len(self.shares) else 0.0
        return Crash(share, 1.0, self.loses) if share else None

    def slowness(self, random: np.random.Generator) -> Iterator[tuple[float, float]] | None:
        return iter(((0.0, 1.0), *self.slow)) if self.slow else None

    def outages(self, random: np.random.Generator) -> Iterator[tuple[float, bool]] | None:
        return ((t, bool(i % 2)) for i, t in enumerate(self.links, 0)) if self.links else None

    def server_crashes(self, random: np.random.Generator) -> ServerCrashes | None:
        if not self.server:
            return None
        changes = ((time_s, not place % 2) for place, time_s in enumerate((0.0, *self.server)))
        return ServerCrashes(changes, 1, 0.0)


_TURNS: dict[int, int] = {}


def _next(random: np.random.Generator) -> int:
    """How often a client's stream was used: what is planned has no chance."""
    _TURNS[id(random)] = _TURNS.get(id(random), -1) + 1
    return _TURNS[id(random)]


def run(
    availability: list[Availability] | None = None,
    faults: list[Fault] | None = None,
    n_rounds: int = 1,
    kind: str = "psl",
    lateness: Any = None,
    n_clients: int = 2,
    dry: bool = False,
    **settings: Any,
) -> Stage:
    _TURNS.clear()
    made = stage(
        small_setup(n_clients), uplinks=[800] * n_clients, downlinks=[640] * n_clients, dry=dry,
        availability=availability or (), faults=faults or (),
    )  # fmt: skip
    return made.run(frameworks[kind](lateness=lateness or latenesses["wait"](), **settings), n_rounds)


def assert_spans(made: Stage, actor: str, expected: Spans) -> None:
    found = made.spans(actor)
    assert [phase for phase, *_ in found] == [phase for phase, *_ in expected]
    for (_, start, end), (phase, expected_start, expected_end) in zip(found, expected, strict=True):
        assert (start, end) == pytest.approx((expected_start, expected_end), abs=EXACT), phase


AWAY = [
    ("client_forward", 0.0, 2.0),
    ("cancelled_uplink", 2.0, 2.5),
    ("away", 2.5, 5.0),
    ("uplink", 5.0, 7.0),
    ("server_compute", 7.0, 13.0),
    ("downlink", 13.0, 15.0),
    ("client_backward", 15.0, 19.0),
]


@pytest.mark.parametrize(
    "kind", [Plan(times=(2.5, 5.0)), availabilities["leave"](at=2.5, back=5.0)], ids=["plan", "leave"]
)
def test_a_transfer_is_broken_off_and_sent_again_when_the_client_is_back(kind: Availability) -> None:
    made = run([availabilities["always"](), kind])
    assert_spans(made, "client-1", AWAY)
    (cancelled,) = [span for span in made.recorder.spans if span.phase == "cancelled_uplink"]
    assert cancelled.size_bytes == 50  # 0.5 of 2 s
    (away,) = [span for span in made.recorder.spans if span.phase == "away"]
    assert away.energy_j == 0.0
    assert [row[:3] for row in made.world.absences()] == [(1, 2.5, 5.0)]


def test_a_computation_is_begun_again_when_the_client_is_back() -> None:
    made = run([Plan(times=(0.5, 3.0))])
    assert_spans(
        made,
        "client-0",
        [
            ("cancelled_client_forward", 0.0, 0.5),
            ("away", 0.5, 3.0),
            ("client_forward", 3.0, 4.0),
            ("uplink", 4.0, 6.0),
            ("server_compute", 6.0, 12.0),
            ("downlink", 12.0, 14.0),
            ("client_backward", 14.0, 16.0),
            ("waiting", 16.0, 18.0),
        ],
    )


def test_who_is_away_while_the_server_computes_gets_its_gradient_later() -> None:
    made = run([Plan(times=(3.0, 11.0))])  # its uplink ends at 3.0, and so has ended
    assert_spans(
        made,
        "client-0",
        [
            ("client_forward", 0.0, 1.0),
            ("uplink", 1.0, 3.0),
            ("away", 3.0, 4.0),
            ("away", 4.0, 10.0),
            ("away", 10.0, 11.0),
            ("downlink", 11.0, 13.0),
            ("client_backward", 13.0, 15.0),
            ("waiting", 15.0, 16.0),
        ],
    )


def test_who_loses_its_state_is_gone_from_the_round_and_has_the_initial_weights() -> None:
    made = run([Plan(times=(3.5, 6.0), state="lost")], n_rounds=2)
    # It was lost while the server waited for client 1: its smashed data are there, its forward pass is not.
    first = [span.phase for span in made.recorder.spans if span.client == 0 and span.round == 1]
    assert "client_backward" not in first
    rows = [row for row in made.recorder.attendance if row[2] == 0]
    assert [(row[0], row[3], row[4]) for row in rows] == [
        (1, "upload", "came"), (1, "train", "lost"), (2, "upload", "came"), (2, "train", "came"),
    ]  # fmt: skip
    assert made.learner.states.lives == {0: 1}


def test_clients_that_are_not_there_are_not_asked() -> None:
    made = run([availabilities["join"](at=1.0)], n_rounds=2)
    assert [span.client for span in made.recorder.spans if span.phase == "client_forward"] == [1, 0, 1]
    # One client alone: 2 + 2 + 3 + 2 + 4 s.
    assert made.spans("client-0")[:2] == [("away", 0.0, 1.0), ("waiting", 1.0, 13.0)]


def test_where_nobody_is_there_the_round_waits_for_who_comes_first() -> None:
    both = [availabilities["join"](at=5.0), availabilities["join"](at=3.0)]
    made = run(list(both))
    assert [(s.client, s.start_s) for s in made.recorder.spans if s.phase == "client_forward"] == [(1, 3.0)]


def test_the_hours_of_a_day() -> None:
    night = availabilities["daily"](begin="22:00", end="06:30", time_zone=2, starts_at="12:00")
    changes = night.changes(0, np.random.default_rng(0))
    hours = [(time_s / 3600, there) for (time_s, there), _ in zip(changes, range(5), strict=False)]
    assert hours == [(0, False), (8, True), (16.5, False), (32, True), (40.5, False)]
    changes = availabilities["daily"](begin="22:00", end="06:30").changes(0, np.random.default_rng(0))
    assert [next(changes) for _ in range(3)] == [(0.0, True), (6.5 * 3600, False), (22 * 3600, True)]


@pytest.mark.parametrize("distribution", ["exponential", "weibull", "lognormal"])
def test_random_stays_have_the_mean_and_the_share_that_they_say(distribution: str) -> None:
    kind = availabilities["on_off"](mean_up=3.0, mean_down=1.0, distribution=distribution, shape=0.8)
    at_zero, ups = [], []
    for client in range(3000):
        changes = kind.changes(client, np.random.default_rng(client))
        at_zero.append(next(changes)[1])
        times = [next(changes) for _ in range(4)]
        ups += [b[0] - a[0] for a, b in pairwise(times) if a[1]]
    assert np.mean(at_zero) == pytest.approx(0.75, abs=0.03)
    assert np.mean(ups) == pytest.approx(3.0, rel=0.06)


def test_a_battery_is_emptied_by_the_joules_of_the_run_and_charged_again() -> None:
    # Idle 1 W, computing 5 W, sending 3 W, receiving 2 W; it is charged with 2 W all the time.
    battery = availabilities["battery"](capacity=8.0, charging=2.0, resume=0.5)
    made = run([battery])
    # Forward: 8 - 3 = 5 J at 1 s. Uplink: -1 W, 3 J at 3 s. Waiting: +1 W, full (8 J) at 8 s. Downlink from 10 s: 0 W.
    # Backward at 12 s: -3 W, 2 J at 14 s.
    presence = made.world.client(0).presence
    assert presence is not None
    assert presence.level_j() == pytest.approx(4.0, abs=EXACT)  # at 16 s, after 2 s of waiting
    small = run([availabilities["battery"](capacity=10.0, level=0.4, charging=2.0, resume=0.6)], n_clients=1)
    # 4 - 3 = 1 J at 1 s, 0 J at 2 s, in the uplink; 6 J at 5 s; 4 J at 7 s; 7 J at 10 s and 12 s; 1 J at 14 s.
    assert_spans(small, "client-0", [
        ("client_forward", 0.0, 1.0), ("cancelled_uplink", 1.0, 2.0), ("away", 2.0, 5.0), ("uplink", 5.0, 7.0),
        ("server_compute", 7.0, 10.0), ("downlink", 10.0, 12.0), ("client_backward", 12.0, 14.0),
    ])  # fmt: skip
    with pytest.raises(
        StalledError, match="client-0 has begun client_backward 1000 times"
    ):  # 6 J, but it holds 4
        run([availabilities["battery"](capacity=4.0, charging=2.0, resume=0.5)], n_clients=1)


def test_a_deadline_breaks_off_what_is_late_and_the_next_round_asks_everyone_again() -> None:
    made = run(lateness=latenesses["deadline"](after=3.5), n_rounds=1)
    assert_spans(made, "client-1", [
        ("client_forward", 0.0, 2.0), ("cancelled_uplink", 2.0, 3.5), ("waiting", 3.5, 10.5),
    ])  # fmt: skip
    # The training of client 0 takes 4 s, longer than the deadline; one at least is waited for.
    assert made.spans("client-0")[-1] == ("client_backward", pytest.approx(8.5), pytest.approx(10.5))
    assert [(row[2], row[4]) for row in made.recorder.attendance] == [(0, "came"), (1, "late"), (0, "came")]


def test_the_very_instant_of_the_deadline_is_in_time() -> None:
    made = run(lateness=latenesses["deadline"](after=4.0))  # client 1 arrives at 4.0
    assert {row[4] for row in made.recorder.attendance if row[3] == "upload"} == {"came"}


def test_what_is_late_may_be_used_in_the_next_round_and_its_client_is_busy_until_then() -> None:
    made = run(lateness=latenesses["quorum"](k=1, late="used_next"), n_rounds=2)
    steps = [span for span in made.recorder.spans if span.phase == "server_step"]
    # Round 1 takes client 0 at 3 s and ends at 10 s; client 1 arrived at 4 s: it is used as soon as round 2 asks.
    assert [span.start_s for span in steps] == pytest.approx([3.0, 10.0], abs=EXACT)
    outcomes = [(row[0], row[2], row[3], row[4]) for row in made.recorder.attendance]
    assert (2, 1, "upload", "stale") in outcomes


def test_over_selection_goes_on_with_the_first_that_come() -> None:
    made = run(
        lateness=latenesses["over_select"](extra=1), n_clients=3,
        participation=frameworks["psl"](participation={"kind": "sample", "k": 1}).participation,
    )  # fmt: skip
    forwards = [span for span in made.recorder.spans if span.phase.endswith("client_forward")]
    steps = [span for span in made.recorder.spans if span.phase == "server_step"]
    assert len(forwards) == 2
    assert steps[0].end_s - steps[0].start_s == pytest.approx(3.0)  # one mini-batch


def test_a_message_that_is_lost_leaves_the_round_to_the_others() -> None:
    made = run(faults=[Planned(fates=("lost",))])
    # Both first messages are lost: nothing arrives, and the round ends without an update.
    assert made.learner.server_steps == 0
    assert made.env.now == pytest.approx(4.0, abs=EXACT)
    assert sum(span.size_bytes for span in made.recorder.spans if span.phase == "lost_uplink") == 400


def test_a_time_out_sends_it_again_and_waits_longer_each_time() -> None:
    made = run(faults=[Planned(fates=("lost", "lost"))], n_clients=1,
               lateness=latenesses["wait"](retry=Retry(timeout=3.0, times=2, backoff=2.0)))  # fmt: skip
    # Sent at 1 s, again at 4 s, again at 10 s; it arrives at 12 s.
    assert_spans(made, "client-0", [
        ("client_forward", 0.0, 1.0), ("lost_uplink", 1.0, 3.0), ("waiting", 3.0, 4.0), ("lost_uplink", 4.0, 6.0),
        ("waiting", 6.0, 10.0), ("uplink", 10.0, 12.0), ("server_compute", 12.0, 15.0), ("downlink", 15.0, 17.0),
        ("client_backward", 17.0, 19.0),
    ])  # fmt: skip


def test_a_damaged_message_is_sent_again_at_once() -> None:
    made = run(faults=[Planned(fates=("corrupted",))], n_clients=1)
    assert made.spans("client-0")[1:3] == [
        ("corrupted_uplink", 1.0, pytest.approx(3.0)),
        ("uplink", pytest.approx(3.0), pytest.approx(5.0)),
    ]


@pytest.mark.parametrize("loses", [False, True])
def test_a_crash_breaks_a_computation_off_and_the_client_is_back_after_its_restart(loses: bool) -> None:
    made = run(faults=[Planned(shares=(0.5,), loses=loses)], n_clients=1)
    kept = [
        ("cancelled_client_forward", 0.0, 0.5), ("away", 0.5, 1.5), ("client_forward", 1.5, 2.5), ("uplink", 2.5, 4.5),
        ("server_compute", 4.5, 7.5), ("downlink", 7.5, 9.5), ("client_backward", 9.5, 11.5),
    ]  # fmt: skip
    assert_spans(made, "client-0", kept[:1] if loses else kept)


def test_a_slow_device_takes_longer_for_the_part_of_its_work_that_falls_into_that_time() -> None:
    made = run(faults=[Planned(slow=((0.25, 3.0), (1.75, 1.0)))], n_clients=1)
    # 0.25 s at full speed, 1.5 s at a third of it (0.5 s of work), 0.25 s at full speed.
    assert made.spans("client-0")[0] == ("client_forward", 0.0, pytest.approx(2.0, abs=EXACT))


def test_an_outage_stalls_both_ways_of_a_link() -> None:
    made = run(faults=[Planned(links=(0.0, 0.0001, 2.0, 5.0))], n_clients=1)
    # Down from 2 s to 5 s: the uplink from 1 s takes 3 s longer.
    assert made.spans("client-0")[1] == ("uplink", 1.0, pytest.approx(6.0, abs=1e-3))


def test_a_server_that_crashes_begins_its_step_again_from_its_last_checkpoint() -> None:
    made = run(faults=[Planned(server=(17.0, 18.0))], n_rounds=2)
    # Round 1 ends at 16 s with one update, which is the checkpoint. Both forward passes of round 2 go on; client 0 has
    # to send from the beginning at 18 s.
    phases = [(s.phase, s.start_s) for s in made.recorder.spans if s.client == 0 and s.round == 2]
    assert ("uplink", pytest.approx(18.0)) in phases
    later = run(faults=[Planned(server=(6.0, 7.0))])
    steps = [(s.phase, s.start_s, s.end_s) for s in later.recorder.spans if s.actor == "server"]
    assert steps == [
        ("cancelled_server_step", pytest.approx(4.0), 6.0),
        ("server_step", 7.0, pytest.approx(13.0)),
    ]
    assert later.learner.server_state.value.n_updates == 1


def test_a_crash_after_an_update_brings_the_checkpoint_back() -> None:
    @component
    class Seldom(Planned):
        kind: Literal["seldom"] = "seldom"

        def server_crashes(self, random: np.random.Generator) -> ServerCrashes | None:
            given = super().server_crashes(random)
            return None if given is None else given._replace(checkpoint_every=2)

    made = run(faults=[Seldom(server=(11.0, 11.5))], n_rounds=1)
    assert made.learner.server_steps == 1
    assert made.learner.server_state.value.n_updates == 0  # the only update is lost


def test_a_server_that_waits_for_who_never_comes_back_is_stalled_and_says_so() -> None:
    with pytest.raises(StalledError, match=r"round 1: client-0 is away for ever, since 0\.5 s"):
        run([availabilities["leave"](at=0.5)])


def test_vanilla_sl_skips_who_is_away_and_undoes_a_turn_that_is_lost() -> None:
    away = [Plan(times=(0.5, 100.0), state="lost")]
    made = run(list(away), kind="sl", n_rounds=2)
    assert [row[4] for row in made.recorder.attendance if row[2] == 0] == ["lost"]
    assert [s.client for s in made.recorder.spans if s.phase == "client_forward"] == [1, 1]


@pytest.mark.parametrize("kind", ["psl", "sfl", "epsl", "gapsl", "sl", "fedavg"])
def test_who_reckons_with_losses_that_do_not_come_has_the_timeline_and_weights_of_who_does_not(
    kind: str,
) -> None:
    plain, ready = (run(kind=kind, faults=list(faults), n_rounds=2) for faults in ((), (Loss(),)))
    assert ready.recorder.timeline_sha256() == plain.recorder.timeline_sha256()
    for one, other in zip(
        plain.learner.server_state.value.parameters, ready.learner.server_state.value.parameters, strict=True
    ):
        assert (one == other).all()


HAZARDS: dict[str, tuple[list[Availability], list[Fault], Any]] = {
    "away and back": ([Plan(times=(2.5, 5.0, 30.0, 33.0)), Plan(times=(11.0, 14.0))], [], None),
    "state lost": ([Plan(times=(2.5, 5.0, 30.0, 33.0), state="lost")], [], None),
    "battery": ([availabilities["battery"](capacity=20.0, charging=2.0, resume=0.8)], [], None),
    "deadline": ([], [], latenesses["deadline"](after=3.5)),
    "quorum, stale": ([], [], latenesses["quorum"](k=1, late="used_next")),
    "lost and damaged": ([], [Planned(fates=("arrives", "lost", "corrupted", "arrives", "lost"))], None),
    "time-outs": (
        [],
        [Planned(fates=("lost", "lost"))],
        latenesses["wait"](retry=Retry(timeout=3.0, times=2)),
    ),
    "crashes": ([], [Planned(shares=(0.0, 0.5, 0.0, 0.3), loses=True)], None),
    "slow": ([], [Planned(slow=((3.0, 4.0), (20.0, 1.0)))], None),
    "outage": ([], [Planned(links=(0.0, 0.0001, 2.0, 9.0))], None),
    "server crashes": ([], [Planned(server=(9.0, 10.0, 36.0, 39.0))], None),
}


FREE = ("async_sl", "async_sfl", "pipelined_psl")
# Where nobody waits for anybody, nobody is late.
CASES = [
    (name, kind)
    for name in HAZARDS
    for kind in ("psl", "sfl", *(() if name in ("deadline", "quorum, stale") else FREE))
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_weights_are_those_of_plain_loops_in_the_order_of_the_clock(name: str, kind: str) -> None:
    availability, faults, lateness = HAZARDS[name]
    _TURNS.clear()
    made = stage(
        small_setup(3),
        rates=(1.0, 0.5, 0.8),
        uplinks=[800] * 3,
        downlinks=[640] * 3,
        availability=availability,
        faults=faults,
    )
    watched = watch(made.learner)
    made.run(frameworks[kind](lateness=lateness or latenesses["wait"]()), 4)
    plain = PlainLoop(made.learner.setup).apply(watched)
    assert sum(entry[0] == "step" for entry in watched.log) >= 2
    assert largest_difference(made.learner, plain) < 1e-12
