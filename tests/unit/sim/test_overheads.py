"""What computations and messages take beside their cost: whole timelines, worked out by hand.

As in `test_timelines`: client 0 computes 1 FLOP/s, client 1 half of it; forward costs 1 FLOP, backward 2, the server 3
per client at 2 FLOP/s. 200 B go up in 1 and 2 s, 160 B come down in 1 and 2 s.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from gapslsim.clock_options import ClockOptions
from gapslsim.frameworks.framework import frameworks
from gapslsim.hardware.overheads import Cold, Overheads, Throttling
from gapslsim.sim.availability import availabilities
from gapslsim.sim.overheads import NodeOverheads, heated
from tests.support import Stage, figure, setup_for, stage
from tests.unit.frameworks.test_timelines import assert_spans


def run(kind: str = "psl", n_rounds: int = 1, **settings: Any) -> Stage:
    of_world = {name: settings.pop(name) for name in (*settings,) if name.endswith(("overheads", "clock"))}
    more = {name: settings.pop(name) for name in (*settings,) if name in ("dry", "availability", "faults")}
    world = stage(
        setup_for(kind), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), **of_world, **more
    )
    return world.run(frameworks[kind](**settings), n_rounds)


def own(device: Overheads, clock: ClockOptions | None = None) -> NodeOverheads:
    return NodeOverheads(device, clock or ClockOptions())


def throttling(slowing: Any, recovery: float) -> Throttling:
    return Throttling(slowing=slowing, recovery=recovery, status="assumed", source="chosen for the test")


def test_messages_are_made_ready_and_taken_apart_at_both_ends_one_at_a_time_on_the_server() -> None:
    # 0.1 s for each message, and 400 B/s on clients (0.5 s up, 0.4 s down), 800 B/s on the server (0.25 s, 0.2 s).
    world = run(
        overheads=Overheads(serialise_rate=figure(400.0), per_message=figure(0.1)),
        server_overheads=Overheads(serialise_rate=figure(800.0), per_message=figure(0.1)),
    )
    assert_spans(
        world,
        "client-0",
        [
            ("client_forward", 0.0, 1.0),
            ("serialise", 1.0, 1.6),
            ("uplink", 1.6, 2.6),
            ("server_compute", 2.6, 2.95),  # its message is taken apart
            ("waiting", 2.95, 4.95),
            ("server_compute", 4.95, 7.95),
            ("server_compute", 7.95, 8.25),  # its answer is made ready
            ("downlink", 8.25, 9.25),
            ("deserialise", 9.25, 9.75),
            ("client_backward", 9.75, 11.75),
            ("waiting", 11.75, 15.05),
        ],
    )
    assert_spans(
        world,
        "client-1",
        [
            ("client_forward", 0.0, 2.0),
            ("serialise", 2.0, 2.6),
            ("uplink", 2.6, 4.6),
            ("server_compute", 4.6, 4.95),
            ("server_compute", 4.95, 7.95),
            ("server_queue", 7.95, 8.25),  # the other's answer is made ready first
            ("server_compute", 8.25, 8.55),
            ("downlink", 8.55, 10.55),
            ("deserialise", 10.55, 11.05),
            ("client_backward", 11.05, 15.05),
        ],
    )
    assert [phase for phase, *_ in world.spans("server")] == [
        "deserialise",
        "deserialise",
        "server_step",
        "serialise",
        "serialise",
    ]
    of_client = [span for span in world.recorder.spans if span.client == 0 and "serialise" in span.phase]
    assert [span.energy_j for span in of_client] == pytest.approx(
        [5.0 * 0.6, 5.0 * 0.5]
    )  # 5 W while it computes


def test_what_all_clients_share_is_made_ready_once_and_taken_apart_by_each() -> None:
    # 2 of 5 samples are shared: 64 B to all, 96 B to each.
    costly = Overheads(serialise_rate=figure(64.0))
    world = run("epsl", phi=0.4, overheads=costly, server_overheads=costly)
    server = [(phase, end - start) for phase, start, end in world.spans("server")]
    assert server[-3:] == [("serialise", pytest.approx(s)) for s in (1.0, 1.5, 1.5)]
    for client in ("client-0", "client-1"):
        taken = [end - start for phase, start, end in world.spans(client) if phase == "deserialise"]
        assert taken == pytest.approx([1.0, 1.5])


def test_each_mini_batch_takes_its_overhead_once_on_a_client_and_once_on_the_server() -> None:
    world = run(
        overheads=Overheads(per_iteration=figure(0.5)), server_overheads=Overheads(per_iteration=figure(0.25))
    )
    assert_spans(world, "server", [("server_step", 4.5, 7.75)])
    assert world.spans("client-0")[0] == ("client_forward", 0.0, 1.5)
    assert world.env.now == pytest.approx(13.5 - 0.25 + 0.5)


def test_local_training_takes_the_overhead_of_every_step() -> None:
    # 4 steps of 4 FLOP: 16 s and 32 s; one mini-batch's overhead in each.
    world = run("fedavg", overheads=Overheads(per_iteration=figure(0.5)))
    assert [end - start for phase, start, end in world.spans("client-0") if phase == "local_training"] == [18]
    assert [end - start for phase, start, end in world.spans("client-1") if phase == "local_training"] == [34]


def test_a_batch_that_is_loaded_ahead_costs_only_what_is_not_hidden() -> None:
    # 5 samples of 2 s by one worker: 10 s each, in the first round in full. The second batch is begun at 10 s; client 0
    # wants it when the round ends, at 10 + 13: all hidden.
    world = run(n_rounds=2, overheads=Overheads(loading_per_sample=figure(2.0)))
    for client in ("client-0", "client-1"):
        loading = [(start, end) for phase, start, end in world.spans(client) if phase == "loading"]
        assert loading == [(0.0, 10.0)]
    # Slower than a round of 13 s: 20 s each, so that the second comes 20 s after the first was taken.
    world = run(n_rounds=2, overheads=Overheads(loading_per_sample=figure(4.0)))
    loading = [(start, end) for phase, start, end in world.spans("client-0") if phase == "loading"]
    assert loading == [(0.0, 20.0), (pytest.approx(20 + 13), pytest.approx(40.0))]


def test_two_workers_load_twice_as_fast_and_inline_loading_hides_nothing() -> None:
    world = run(overheads=Overheads(loading_per_sample=figure(2.0), loading_workers=2))
    assert world.spans("client-0")[0] == ("loading", 0.0, 5.0)
    world = run(n_rounds=2, overheads=Overheads(loading_per_sample=figure(0.5), loading="inline"))
    loading = [end - start for phase, start, end in world.spans("client-0") if phase == "loading"]
    assert loading == pytest.approx([2.5, 2.5])


@pytest.mark.parametrize(
    ("how", "loading_s"),
    [
        # 4 steps of 4 s, after a download of 568 B in 3.55 s. Inline: 4 x 5 x 0.5 s. Ahead: all behind other things.
        ({"loading": "inline", "loading_per_sample": 0.5}, [10.0]),
        ({"loading": "ahead", "loading_per_sample": 0.5}, []),
        # 5 s a batch: the first but for the download, and 1 s more than a step for each of the other three.
        ({"loading": "ahead", "loading_per_sample": 1.0}, [5.0 - 3.55 + 3 * 1.0]),
    ],
)
def test_local_training_waits_for_its_loader_where_that_is_slower_than_a_step(
    how: dict[str, Any], loading_s: list[float]
) -> None:
    how = how | {"loading_per_sample": figure(how["loading_per_sample"])}
    world = run("fedavg", overheads=Overheads(**how))
    found = [end - start for phase, start, end in world.spans("client-0") if phase == "loading"]
    assert found == pytest.approx(loading_s)


def test_a_computation_after_a_wait_is_slower_and_one_right_after_another_is_not() -> None:
    cold = own(Overheads(cold=Cold(after=figure(1.0), factor=figure(1.5))))
    assert cold.stretched_s(0.0, 2.0) == 2.0
    cold.computed(0.0, 2.0)
    assert cold.stretched_s(2.5, 2.0) == 2.0
    assert cold.stretched_s(3.0, 2.0) == 3.0
    short = own(
        Overheads(cold=Cold(after=figure(0.0), factor=figure(1.5), lasts=figure(0.5)))
    )  # of the first half second
    short.computed(0.0, 2.0)
    assert short.stretched_s(2.0, 2.0) == 2.0  # no wait at all
    assert short.stretched_s(2.1, 2.0) == pytest.approx(2.25)
    # A message of 0.1 s uses a part of the half second, and what follows the rest.
    short.computed(2.0, 4.0)
    assert short.stretched_s(5.0, 0.1, warms=False) == pytest.approx(0.15)
    short.computed(5.0, 5.15)
    assert short.stretched_s(5.15, 2.0) == pytest.approx(2.0 + 0.5 * 0.4)
    short.computed(5.15, 7.35)
    assert short.stretched_s(7.35, 2.0) == 2.0


def test_a_message_before_it_does_not_warm_a_computation_up() -> None:
    cold = own(Overheads(cold=Cold(after=figure(1.0), factor=figure(1.5))))
    assert cold.stretched_s(3.0, 0.1, warms=False) == pytest.approx(0.15)
    cold.computed(3.0, 3.15)
    assert cold.stretched_s(3.15, 2.0) == 3.0
    cold.computed(3.15, 6.15)
    assert cold.stretched_s(6.15, 2.0) == 2.0


def test_the_server_of_a_round_is_cold_after_it_has_waited() -> None:
    world = run(
        n_rounds=2, server_overheads=Overheads(cold=Cold(after=figure(1.0), factor=figure(1.2)))
    )  # it waits for 4 s and more each time
    assert [end - start for _, start, end in world.spans("server")] == pytest.approx([3.6, 3.6])


def test_a_hot_device_slows_down_and_recovers_at_rest() -> None:
    table = ((0.0, 1.0), (10.0, 1.0), (20.0, 2.0))
    assert heated(table, 0.0, 10.0) == 10.0
    # Beyond the last row at its factor.
    assert heated(table, 20.0, 3.0) == 6.0
    # From 10 s to 20 s it does the integral of 1 / (1 + h/10) over 10 s: 10 ln 2 of work.
    assert heated(table, 10.0, 10 * math.log(2)) == pytest.approx(10.0)
    assert heated(table, 0.0, 10 + 10 * math.log(2) + 1) == pytest.approx(22.0)
    # The same in many small pieces as in one.
    hot = own(Overheads(throttling=throttling(table, 0.5)))
    now = 0.0
    for _ in range(1000):
        took = hot.stretched_s(now, 0.015)
        hot.computed(now, now + took)
        now += took
    assert now == pytest.approx(heated(table, 0.0, 15.0), rel=1e-9)
    # 1000 s of rest cool it down for good; 10 s only by 5.
    assert hot.stretched_s(now + 1000, 1.0) == 1.0


def test_rest_undoes_as_much_load_as_the_profile_says() -> None:
    hot = own(Overheads(throttling=throttling(((0.0, 1.0), (10.0, 3.0)), 0.5)))
    hot.computed(0.0, 10.0)
    assert hot.stretched_s(10.0, 1.0) == 3.0
    hot = own(Overheads(throttling=throttling(((0.0, 1.0), (10.0, 3.0)), 0.5)))
    hot.computed(0.0, 10.0)
    # 20 s of rest undo 10 s of load; heat 0 again: f = 1 + h/5, t = 5 (exp(1/5) - 1)
    assert hot.stretched_s(30.0, 1.0) == pytest.approx(5 * math.expm1(0.2))


def test_other_programs_take_their_share() -> None:
    assert own(Overheads(background_load=figure(0.2))).stretched_s(0.0, 4.0) == pytest.approx(5.0)


ALL = Overheads(
    serialise_rate=figure(1000.0),
    per_message=figure(0.01),
    per_iteration=figure(0.1),
    loading_per_sample=figure(0.3),
    cold=Cold(after=figure(0.5), factor=figure(1.2)),
    throttling=throttling(((0.0, 1.0), (5.0, 1.5)), 0.1),
    background_load=figure(0.1),
)


ITEMS = ("serialisation", "per_iteration", "loading", "cold", "throttling", "background_load")


@pytest.mark.parametrize("item", [*ITEMS, "nothing"])
def test_each_item_is_charged_by_itself_and_without_all_nothing_is(item: str) -> None:
    counted = ClockOptions(**{name: name == item for name in ITEMS})
    world = run(overheads=ALL, server_overheads=ALL, clock=counted)
    plain = run()
    if item == "nothing":
        assert world.spans("client-0") == plain.spans("client-0")
    else:
        assert world.env.now > plain.env.now + 0.01


@pytest.mark.parametrize("kind", sorted(frameworks))
def test_with_all_overheads_phases_sum_to_the_elapsed_time_and_a_dry_run_takes_as_long(kind: str) -> None:
    world = run(kind, n_rounds=2, overheads=ALL, server_overheads=ALL)
    for client in (0, 1):
        spans = [span for span in world.recorder.spans if span.client == client]
        filled = sum(span.end_s - span.start_s - span.overlap_s for span in spans)
        assert filled == pytest.approx(world.env.now, rel=1e-9)
    dry = run(kind, n_rounds=2, overheads=ALL, server_overheads=ALL, dry=True)
    assert dry.recorder.timeline_sha256() == world.recorder.timeline_sha256()
    assert any(span.phase == "serialise" for span in world.recorder.spans)


def test_a_message_that_a_client_makes_ready_as_it_goes_away_is_made_ready_again() -> None:
    away = availabilities["leave"](at=1.2, back=3.0)
    world = run(overheads=Overheads(per_message=figure(0.5)), availability=[away])
    assert [(p, s, e) for p, s, e in world.spans("client-0") if "serialise" in p][:2] == [
        ("cancelled_serialise", pytest.approx(1.0), pytest.approx(1.2)),
        ("serialise", pytest.approx(3.0), pytest.approx(3.5)),
    ]
    uplink = next(span for span in world.spans("client-0") if span[0] == "uplink")
    assert uplink[1:] == (pytest.approx(3.5), pytest.approx(4.5))
