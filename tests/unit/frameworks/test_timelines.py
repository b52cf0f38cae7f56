"""Timelines of two clients, worked out by hand.

Client 0 computes 1 FLOP/s, client 1 half of it; forward costs 1 FLOP, backward 2, the server 3 per client at 2 FLOP/s.
A batch is 5 samples; smashed data is 4 float64 per sample and an int64 label: 5 * (32 + 8) = 200 B = 1600 bit; its
gradient 160 B = 1280 bit. Uplinks 1600 and 800 bit/s, downlinks 1280 and 640 bit/s: 1 s and 2 s each way. Every
transfer pays 0.25 s of latency first.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from gapslsim.frameworks.framework import frameworks
from tests.support import Stage, setup_for, small_setup, stage

FORWARD_TO_SERVER_0 = [("client_forward", 0.0, 1.0), ("uplink", 1.0, 2.25)]
FORWARD_TO_SERVER_1 = [("client_forward", 0.0, 2.0), ("uplink", 2.0, 4.25)]


def run(kind: str, **settings: Any) -> Stage:
    world = stage(small_setup(), server_rate=2.0, uplinks=(1600, 800), downlinks=(1280, 640), latency_s=0.25)
    return world.run(frameworks[kind](**settings), 1)


def assert_spans(world: Stage, actor: str, expected: list[tuple[str, float, float]]) -> None:
    found = world.spans(actor)
    assert [phase for phase, *_ in found] == [phase for phase, *_ in expected]
    for (_, start, end), (phase, expected_start, expected_end) in zip(found, expected, strict=True):
        assert start == pytest.approx(expected_start, abs=1e-9), phase
        assert end == pytest.approx(expected_end, abs=1e-9), phase


@pytest.mark.parametrize("kind", ["psl", "gapsl", "parallel", "non_gda"])
def test_a_parallel_round_waits_for_the_slowest_at_both_barriers(kind: str) -> None:
    world = run(kind)
    assert_spans(
        world,
        "client-0",
        [
            *FORWARD_TO_SERVER_0,
            ("waiting", 2.25, 4.25),
            ("server_compute", 4.25, 7.25),
            ("downlink", 7.25, 8.5),
            ("client_backward", 8.5, 10.5),
            ("waiting", 10.5, 13.5),
        ],
    )
    assert_spans(
        world,
        "client-1",
        [
            *FORWARD_TO_SERVER_1,
            ("server_compute", 4.25, 7.25),
            ("downlink", 7.25, 9.5),
            ("client_backward", 9.5, 13.5),
        ],
    )
    assert_spans(world, "server", [("server_step", 4.25, 7.25)])


def test_sfl_adds_an_uplink_of_weights_the_average_and_a_downlink() -> None:
    # 28 client-side parameters in float64: 224 B = 1792 bit
    world = run("sfl")
    assert_spans(
        world,
        "client-0",
        [
            *FORWARD_TO_SERVER_0,
            ("waiting", 2.25, 4.25),
            ("server_compute", 4.25, 7.25),
            ("downlink", 7.25, 8.5),
            ("client_backward", 8.5, 10.5),
            ("waiting", 10.5, 13.5),
            ("model_uplink", 13.5, 13.5 + 0.25 + 1.12),
            ("waiting", 14.87, 15.99),
            ("server_compute", 15.99, 16.24),
            ("model_downlink", 16.24, 16.24 + 0.25 + 1.4),
            ("waiting", 17.89, 19.29),
        ],
    )
    assert_spans(world, "parameter-server", [("average", 15.99, 16.24)])
    assert world.env.now == pytest.approx(16.24 + 0.25 + 2.8, abs=1e-9)


def test_sfl_that_averages_every_second_round_skips_the_first() -> None:
    assert run("sfl", client_sync={"kind": "average", "every": 2}).env.now == pytest.approx(13.5, abs=1e-9)


def test_epsl_sends_the_shared_part_first_and_then_each_its_own() -> None:
    # phi 0.4 of 5 samples: 2 shared (512 bit), 3 own (768 bit); each message pays its latency
    world = run("epsl", phi=0.4)
    assert_spans(
        world,
        "client-0",
        [
            *FORWARD_TO_SERVER_0,
            ("waiting", 2.25, 4.25),
            ("server_compute", 4.25, 7.25),
            ("downlink", 7.25, 7.25 + 0.25 + 0.4),
            ("downlink", 7.9, 7.9 + 0.25 + 0.6),
            ("client_backward", 8.75, 10.75),
            ("waiting", 10.75, 13.75),
        ],
    )
    assert world.env.now == pytest.approx(7.25 + (0.25 + 0.8) + (0.25 + 1.2) + 4.0, abs=1e-9)


def test_vanilla_sl_goes_from_client_to_client_and_pays_for_the_handover() -> None:
    # 28 parameters and as many momenta: 448 B = 3584 bit over client 0's uplink and client 1's downlink (640 bit/s)
    world = run("sl")
    assert_spans(
        world,
        "client-0",
        [
            *FORWARD_TO_SERVER_0,
            ("server_compute", 2.25, 3.75),
            ("downlink", 3.75, 5.0),
            ("client_backward", 5.0, 7.0),
            ("handover_out", 7.0, 7.0 + 0.5 + 5.6),
            ("waiting", 13.1, 25.1),
        ],
    )
    assert_spans(
        world,
        "client-1",
        [
            ("waiting", 0.0, 7.0),
            ("handover_in", 7.0, 13.1),
            ("client_forward", 13.1, 15.1),
            ("uplink", 15.1, 17.35),
            ("server_compute", 17.35, 18.85),
            ("downlink", 18.85, 21.1),
            ("client_backward", 21.1, 25.1),
        ],
    )


def test_vanilla_sl_without_optimizer_state_hands_over_half_the_bytes() -> None:
    assert run("sl", optimizer="reset").env.now == pytest.approx(25.1 - 2.8, abs=1e-9)


def test_fedavg_downloads_trains_and_uploads_the_whole_model() -> None:
    # 28 + 43 parameters: 568 B = 4544 bit; 3 local steps of 4 FLOP
    world = run("fedavg", local_steps=3)
    assert_spans(
        world,
        "client-0",
        [
            ("model_downlink", 0.0, 0.25 + 3.55),
            ("local_training", 3.8, 15.8),
            ("model_uplink", 15.8, 15.8 + 0.25 + 2.84),
            ("waiting", 18.89, 37.28),
            ("server_compute", 37.28, 37.53),
        ],
    )
    assert_spans(
        world,
        "client-1",
        [
            ("model_downlink", 0.0, 0.25 + 7.1),
            ("local_training", 7.35, 31.35),
            ("model_uplink", 31.35, 31.35 + 0.25 + 5.68),
            ("server_compute", 37.28, 37.53),
        ],
    )


def test_frozen_clients_send_no_gradient_and_make_no_backward_pass() -> None:
    world = run("psl", client_update={"kind": "frozen"})
    assert world.env.now == pytest.approx(7.25, abs=1e-9)
    assert not [span for span in world.recorder.spans if span.phase in ("downlink", "client_backward")]


def test_a_shared_backhaul_halves_the_rate_while_two_clients_send() -> None:
    # both devices at 1 FLOP/s, access never the limit, backhaul 1600 bit/s: uploads of 1600 bit each share it, 1 to 3 s
    world = stage(small_setup(), rates=(1.0, 1.0), server_rate=2.0, backhaul=1600)
    world.run(frameworks["psl"](), 1)
    assert world.spans("client-0")[1] == ("uplink", 1.0, pytest.approx(3.0, abs=1e-9))
    assert world.spans("client-1")[1] == ("uplink", 1.0, pytest.approx(3.0, abs=1e-9))


# In a pipeline a client does several things at a time, see test_asynchronous.py; with a loss of its own it trains while
# it sends, and in mp_sl it waits for averages of several machines. `check-component` takes overlaps off.
@pytest.mark.parametrize(
    "kind", sorted(set(frameworks) - {"pipelined_psl", "mp_sl", "cse_fsl", "fsl_sage", "locsplitfed"})
)
def test_phases_of_every_client_sum_to_the_elapsed_time(kind: str) -> None:
    world = run_any(kind)
    for client in range(3):
        spans = world.spans(f"client-{client}")
        assert spans[0][1] == 0.0
        assert spans[-1][2] == world.env.now
        for (_, _, end), (_, start, _) in pairwise(spans):
            assert start == end
        assert sum(end - start for _, start, end in spans) == pytest.approx(world.env.now, abs=1e-9)


@pytest.mark.parametrize("kind", sorted(frameworks))
def test_a_dry_run_has_the_timeline_of_the_real_one(kind: str) -> None:
    real, dry = run_any(kind), run_any(kind, dry=True)
    assert real.recorder.timeline_sha256() == dry.recorder.timeline_sha256()
    assert real.learner.server_state.key == dry.learner.server_state.key
    assert [real.learner.client_state(c).key for c in range(3)] == [
        dry.learner.client_state(c).key for c in range(3)
    ]


def run_any(kind: str, dry: bool = False) -> Stage:
    world = stage(
        setup_for(kind, 3),
        rates=(1.0, 0.7, 0.3),
        uplinks=(1600, 800, 700),
        downlinks=(1280, 640, 600),
        latency_s=0.125,
        backhaul=2000,
        dry=dry,
        fixed_costs=False,
    )
    return world.run(frameworks[kind](), 2)
