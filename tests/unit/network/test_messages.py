"""Hand-computed transfers through the SimPy-driven network."""

from __future__ import annotations

import math
from collections.abc import Generator

import pytest
import simpy

from gapslsim.errors import NetworkError
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.messages import FluidNetwork
from gapslsim.network.network import Transfer
from gapslsim.network.topologies.star import Star

MBIT = 1e6


def fleet(*rates_mbit: float, latency_s: float = 0.0) -> Fleet:
    return Fleet(
        tuple(
            AccessLink(f"client-{i}", Constant(rate=rate * MBIT), Constant(rate=2 * rate * MBIT), latency_s)
            for i, rate in enumerate(rates_mbit)
        )
    )


def star(env: simpy.Environment, members: Fleet, **settings: object) -> FluidNetwork:
    return Star(**{"protocol": None, **settings}).build(env, members, seed=1)  # type: ignore[arg-type]


def finish(env: simpy.Environment, *transfers: Transfer) -> list[float | None]:
    env.run()
    return [transfer.finished_s for transfer in transfers]


def test_one_transfer_pays_latency_once_and_then_its_bits_over_the_rate() -> None:
    env = simpy.Environment()
    network = star(env, fleet(8, latency_s=0.1), backhaul_latency=0.05)
    # 1 MB = 8 Mbit over 8 Mbit/s after 0.1 + 0.05 s.
    assert finish(env, network.send("client-0", "server", 1e6)) == [pytest.approx(1.15, rel=1e-12)]


def test_two_uploads_share_a_backhaul_and_the_rest_speeds_up_when_one_ends() -> None:
    env = simpy.Environment()
    network = star(env, fleet(80, 80), backhaul=8 * MBIT)
    # 4 Mbit/s each: 0.5 MB ends at 1 s; then 2 MB has 12 of 16 Mbit left at 8 Mbit/s: 2.5 s.
    a = network.send("client-0", "server", 2e6)
    b = network.send("client-1", "server", 0.5e6)
    assert finish(env, a, b) == [pytest.approx(2.5, rel=1e-12), pytest.approx(1.0, rel=1e-12)]


def test_a_slow_access_link_leaves_its_share_of_the_backhaul_to_the_others() -> None:
    env = simpy.Environment()
    network = star(env, fleet(2, 80), backhaul=10 * MBIT)
    # 2 Mbit/s and 8 Mbit/s: 1 MB each take 4 s and 1 s.
    transfers = [network.send(f"client-{i}", "server", 1e6) for i in range(2)]
    assert finish(env, *transfers) == [pytest.approx(4.0, rel=1e-12), pytest.approx(1.0, rel=1e-12)]


def test_up_and_down_share_a_half_duplex_backhaul_and_not_a_full_duplex_one() -> None:
    for duplex, seconds in (("half", 2.0), ("full", 1.0)):
        env = simpy.Environment()
        network = star(env, fleet(80, 80), backhaul=8 * MBIT, duplex=duplex)
        up = network.send("client-0", "server", 1e6)
        down = network.send("server", "client-1", 1e6)
        assert finish(env, up, down) == [pytest.approx(seconds)] * 2


def test_no_bytes_pay_the_latency_only_and_a_node_sends_to_itself_at_once() -> None:
    env = simpy.Environment()
    network = star(env, fleet(8, latency_s=0.25))
    assert finish(env, network.send("client-0", "server", 0), network.send("server", "server", 5)) == [
        0.25,
        0.0,
    ]


def test_a_cancelled_transfer_says_how_far_it_came_and_never_fires() -> None:
    env = simpy.Environment()
    network = star(env, fleet(8, 8), backhaul=8 * MBIT)
    a = network.send("client-0", "server", 1e6)
    b = network.send("client-1", "server", 1e6)

    def stop() -> Generator[simpy.Event, None, None]:
        yield env.timeout(1.0)
        network.cancel(b)
        network.cancel(b)

    env.process(stop())
    # 4 Mbit/s each for 1 s; then the other has 4 Mbit left at 8 Mbit/s.
    assert finish(env, a, b) == [pytest.approx(1.5), None]
    assert b.moved_bytes == pytest.approx(0.5e6)
    assert not b.done.triggered


def test_a_transfer_cancelled_during_its_latency_has_moved_nothing() -> None:
    env = simpy.Environment()
    network = star(env, fleet(8, latency_s=1.0))
    transfer = network.send("client-0", "server", 1e6)
    env.run(until=0.5)
    network.cancel(transfer)
    env.run()
    assert transfer.moved_bytes == 0
    assert transfer.finished_s is None


def test_transfers_that_end_together_fire_in_the_order_of_their_submission() -> None:
    env = simpy.Environment()
    network = star(env, fleet(8, 8, 8), backhaul=6 * MBIT)
    order: list[str] = []
    for i in (2, 0, 1):
        done = network.send(f"client-{i}", "server", 1e6).done
        assert done.callbacks is not None
        done.callbacks.append(lambda event: order.append(event.value.source))
    env.run()
    assert order == ["client-2", "client-0", "client-1"]


def test_a_broadcast_carries_the_message_once_over_the_common_link() -> None:
    env = simpy.Environment()
    network = star(env, fleet(2, 4, 40), backhaul=8 * MBIT)
    transfers = network.broadcast("server", ["client-0", "client-1", "client-2"], 1e6)
    # 8 Mbit: 1 s over the backhaul, 2, 1 and 0.1 s over access links of 4, 8 and 80 Mbit/s.
    assert finish(env, *transfers) == [pytest.approx(2.0), pytest.approx(1.0), pytest.approx(1.0)]


def test_a_unicast_broadcast_carries_a_copy_per_target() -> None:
    env = simpy.Environment()
    network = star(env, fleet(40, 40), backhaul=8 * MBIT, broadcast="unicast")
    assert (
        finish(env, *network.broadcast("server", ["client-0", "client-1"], 1e6)) == [pytest.approx(2.0)] * 2
    )


def test_a_broadcast_pays_the_latency_of_each_path_once() -> None:
    env = simpy.Environment()
    members = Fleet(
        tuple(
            AccessLink(f"client-{i}", Constant(rate=8e6), Constant(rate=8e6), 0.1 * (i + 1)) for i in range(2)
        )
    )
    network = star(env, members, backhaul=8 * MBIT, backhaul_latency=0.05)
    assert finish(env, *network.broadcast("server", ["client-0", "client-1"], 1e6)) == [
        pytest.approx(1.15), pytest.approx(1.25),
    ]  # fmt: skip


def test_cancelling_one_target_of_a_broadcast_leaves_the_others() -> None:
    env = simpy.Environment()
    network = star(env, fleet(2, 2), backhaul=8 * MBIT)
    a, b = network.broadcast("server", ["client-0", "client-1"], 1e6)
    env.run(until=0.5)
    network.cancel(a)
    assert finish(env, a, b) == [None, pytest.approx(2.0)]
    # 0.5 s at 4 Mbit/s on the slowest segment.
    assert a.moved_bytes == pytest.approx(0.25e6)


def test_link_use_says_rate_capacity_and_flows_over_time() -> None:
    env = simpy.Environment()
    network = star(env, fleet(80, 80), backhaul=8 * MBIT)
    network.send("client-0", "server", 2e6)
    network.send("client-1", "server", 0.5e6)
    env.run()
    rows = [row for row in network.link_use if row[0] == "backhaul/up"]
    assert rows == [("backhaul/up", 0.0, 1.0, 8e6, 8e6, 2), ("backhaul/up", 1.0, 2.5, 8e6, 8e6, 1)]


def test_the_parameter_server_is_where_the_topology_puts_it() -> None:
    for place, seconds in (("beside_server", 1.0), ("beside_clients", 0.1)):
        env = simpy.Environment()
        network = star(env, fleet(80), backhaul=8 * MBIT, parameter_server=place)
        assert finish(env, network.send("client-0", "parameter-server", 1e6)) == [pytest.approx(seconds)]


def test_an_unknown_node_has_no_route_and_a_near_name_is_offered() -> None:
    network = star(simpy.Environment(), fleet(8))
    with pytest.raises(NetworkError, match=r"no node 'client-O'.*Did you mean 'client-0'"):
        network.send("client-O", "server", 1)


@pytest.mark.parametrize("size", [-1.0, math.nan, math.inf])
def test_a_size_that_is_no_size_is_refused(size: float) -> None:
    with pytest.raises(NetworkError, match="size_bytes"):
        star(simpy.Environment(), fleet(8)).send("client-0", "server", size)


def test_a_message_that_is_cancelled_as_another_arrives_at_the_same_instant_never_arrives() -> None:
    env = simpy.Environment()
    network = star(env, fleet(8, 8))
    first, second = (network.send(f"client-{i}", "server", 1e6) for i in range(2))

    def canceller() -> Generator[simpy.Event, None, None]:
        yield first.done
        network.cancel(second)

    env.process(canceller())
    assert finish(env, first, second) == [pytest.approx(1.0, rel=1e-12), None]
    assert not second.done.triggered
    assert second.moved_bytes == 1e6
