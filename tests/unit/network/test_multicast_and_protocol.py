"""Broadcast trees cut into segments, and what a transport protocol adds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import simpy
from pydantic import ValidationError

from gapslsim.network._multicast import segments
from gapslsim.network._routes import LinkSpec, Route
from gapslsim.network.channels.constant import Constant
from gapslsim.network.channels.markov import Markov
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.network import LinkUseRow
from gapslsim.network.protocols.tcp import Tcp
from gapslsim.network.topologies.relay import Relay
from gapslsim.network.topologies.star import Star


def test_a_tree_of_routes_is_cut_where_the_targets_part() -> None:
    a, b, c, d = (
        LinkSpec(name, None, latency) for name, latency in zip("abcd", (1.0, 2.0, 4.0, 8.0), strict=True)
    )
    found = segments([Route((a, b)), Route((a, b, c)), Route((a, d))])
    assert [("".join(link.name for link in s.links), s.targets, s.start_s, s.rest_s) for s in found] == [
        ("a", (0, 1, 2), 1.0, (2.0, 6.0, 8.0)),
        ("b", (0, 1), 3.0, (0.0, 4.0)),
        ("d", (2,), 9.0, (0.0,)),
        ("c", (1,), 7.0, (0.0,)),
    ]


def test_a_broadcast_to_oneself_arrives_at_once() -> None:
    (own,) = segments([Route(())])
    assert (own.links, own.targets, own.start_s) == ((), (0,), 0.0)
    env = simpy.Environment()
    members = Fleet((AccessLink("client-0", Constant(rate=8e6), Constant(rate=8e6)),))
    transfers = (
        Star(protocol=None).build(env, members, seed=0).broadcast("server", ["server", "client-0"], 1e6)
    )
    env.run()
    assert [transfer.finished_s for transfer in transfers] == [0.0, pytest.approx(1.0)]


def test_a_broadcast_down_a_chain_loads_each_hop_once() -> None:
    env = simpy.Environment()
    members = Fleet(
        tuple(AccessLink(f"client-{i}", Constant(rate=8e7), Constant(rate=8e7)) for i in range(3))
    )
    network = Relay(hops=3, hop=8e6, clients="spread").build(env, members, seed=0)
    transfers = network.broadcast("server", ["client-0", "client-1", "client-2"], 1e6)
    env.run()
    assert [transfer.finished_s for transfer in transfers] == [pytest.approx(1.0)] * 3
    carried = {}
    for row in map(LinkUseRow._make, network.link_use):
        carried[row.link] = carried.get(row.link, 0.0) + row.rate_bit_per_s * (row.end_s - row.start_s) / 8e6
    assert carried == pytest.approx(
        {f"relay-{i}/hop/down": 1.0 for i in range(3)} | {f"client-{i}/down": 1.0 for i in range(3)}
    )


def one(protocol: Tcp | None, size_bytes: float, rate: float = 8e6, latency_s: float = 0.1) -> float:
    env = simpy.Environment()
    members = Fleet((AccessLink("client-0", Constant(rate=rate), Constant(rate=rate), latency_s),))
    transfer = Star(protocol=protocol).build(env, members, seed=0).send("client-0", "server", size_bytes)
    env.run()
    assert transfer.finished_s is not None
    assert transfer.moved_bytes == size_bytes
    return transfer.finished_s


def test_headers_stretch_the_transfer_and_set_up_costs_round_trips() -> None:
    headers = Tcp(set_up_round_trips=0, slow_start=False, payload_bytes=1000, wire_bytes=1250)
    assert one(headers, 1e6) == pytest.approx(0.1 + 1.25)
    both = Tcp(set_up_round_trips=1.5, slow_start=False, payload_bytes=1000, wire_bytes=1250)
    assert one(both, 1e6) == pytest.approx(0.1 + 0.3 + 1.25)


def test_slow_start_doubles_the_cap_each_round_trip_until_the_path_is_full() -> None:
    tcp = Tcp(set_up_round_trips=0, payload_bytes=1000, wire_bytes=1000, initial_window=10)
    # Round trip 0.2 s: caps 0.4, 0.8, 1.6, 3.2, 6.4 Mbit/s, then 8: 0.08 + 0.16 + 0.32 + 0.64 + 1.28 = 2.48 in 1 s.
    assert list(tcp.ramp(0.2, 8e6) or ())[:5] == [
        (pytest.approx(0.2 * k), pytest.approx(4e5 * 2**k)) for k in range(5)
    ]
    assert one(tcp, 1e6) == pytest.approx(0.1 + 1.0 + (8 - 2.48) / 8)


def test_slow_start_ends_at_the_rate_of_now_also_on_a_link_that_was_idle_as_its_rate_changed() -> None:
    tcp = Tcp(set_up_round_trips=0, payload_bytes=1000, wire_bytes=1000, initial_window=10)
    changing = Markov(rates=[4e5, 8e6], transitions=[[0.0, 1.0], [0.0, 1.0]], step=0.5)
    changing.__dict__["stationary"] = np.array([1.0, 0.0])  # It starts slow and is fast from 0.5 s on.
    members = Fleet((AccessLink("client-0", changing, changing, 0.1),))
    env = simpy.Environment()
    network = Star(protocol=tcp).build(env, members, seed=0)
    env.run(until=1.0)
    transfer = network.send("client-0", "server", 1e6)
    env.run()
    assert transfer.finished_s == pytest.approx(1.0 + 0.1 + 1.0 + (8 - 2.48) / 8)


def test_slow_start_needs_a_round_trip() -> None:
    assert one(
        Tcp(set_up_round_trips=1, payload_bytes=1000, wire_bytes=1000), 1e6, latency_s=0.0
    ) == pytest.approx(1.0)


def test_a_cancelled_message_counts_payload_bytes() -> None:
    env = simpy.Environment()
    members = Fleet((AccessLink("client-0", Constant(rate=8e6), Constant(rate=8e6)),))
    tcp = Tcp(slow_start=False, payload_bytes=500, wire_bytes=1000)
    network = Star(protocol=tcp).build(env, members, seed=0)
    transfer = network.send("client-0", "server", 1e6)
    env.run(until=1.0)
    assert network.moved_bytes(transfer) == pytest.approx(0.5e6)
    network.cancel(transfer)
    assert transfer.moved_bytes == pytest.approx(0.5e6)


def test_a_payload_larger_than_its_packet_is_refused() -> None:
    with pytest.raises(ValidationError, match="must not be more than wire_bytes"):
        Tcp(payload_bytes=1600, wire_bytes=1502)


PLAIN = Tcp(payload_bytes=1000, wire_bytes=1000)
"""Windows of 10, 20, 40 kB; no connection set-up."""


@pytest.mark.parametrize(
    ("size_bytes", "took_s"),
    [
        (10_000, 0.1 + 0.01),  # one window goes at once, at the rate of the link
        (25_000, 0.1 + 0.2 + 0.015),  # a round trip for the first, then 15 kB at once
        (60_000, 0.1 + 0.4 + 0.03),  # two round trips for 30 kB, then 30 kB
    ],
)
def test_the_last_window_of_a_message_goes_at_once(size_bytes: float, took_s: float) -> None:
    assert one(PLAIN, size_bytes) == pytest.approx(took_s)


def after_silence(silent_s: float, tcp: Tcp = PLAIN) -> float:
    """How long a message of 25 kB takes after one of 30 kB and so much silence [s]."""
    env = simpy.Environment()
    members = Fleet((AccessLink("client-0", Constant(rate=8e6), Constant(rate=8e6), 0.1),))
    network = Star(protocol=tcp).build(env, members, seed=0)

    def go() -> Any:
        yield network.send("client-0", "server", 30_000).done
        yield env.timeout(silent_s)
        start_s = env.now
        yield network.send("client-0", "server", 25_000).done
        return env.now - start_s

    return float(env.run(env.process(go())))


@pytest.mark.parametrize(
    ("silent_s", "took_s"),
    [
        (0.05, 0.1 + 0.025),  # the window is 10 + 30 kB: all goes at once
        (0.35, 0.1 + 0.2 + 0.005),  # latency included, more than one timeout of 0.4 s: half, 20 kB
        (5.0, 0.1 + 0.2 + 0.015),  # 10 kB again
    ],
)
def test_an_open_connection_keeps_its_window_and_halves_it_in_silence(silent_s: float, took_s: float) -> None:
    assert after_silence(silent_s) == pytest.approx(took_s)


def test_a_connection_for_each_message_begins_with_the_first_window() -> None:
    tcp = Tcp(payload_bytes=1000, wire_bytes=1000, set_up_round_trips=1)
    assert after_silence(0.05, tcp) == pytest.approx(0.2 + 0.1 + 0.2 + 0.015)


@pytest.mark.parametrize(
    ("headers", "wire_bytes"), [("none", 1448), ("ip", 1500), ("ppp", 1502), ("tc", 1514), ("ethernet", 1538)]
)
def test_headers_are_those_of_the_layer_whose_rate_is_given(headers: Any, wire_bytes: float) -> None:
    assert Tcp(headers=headers).wire_share == pytest.approx(wire_bytes / 1448)
    assert Tcp(headers=headers, wire_bytes=1600).wire_share == pytest.approx(1600 / 1448)
