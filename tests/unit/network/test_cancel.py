"""A cancelled transfer: how far it came, that it never fires, that links are free at once, and nothing is left."""

from __future__ import annotations

import gc
import math
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.network._tree import TreeRouter
from gapslsim.network.channel import Channel
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.messages import FluidNetwork
from gapslsim.network.network import Transfer
from gapslsim.network.protocols.tcp import Tcp
from gapslsim.network.solver import engine as engine_module
from gapslsim.network.solver.engine import FlowEngine
from gapslsim.network.solver.flows import Flow
from gapslsim.network.topologies.shared_ap import SharedAp
from gapslsim.network.topologies.star import Star

CLOSE = {"rel": 1e-9, "abs": 1e-9}


@dataclass(frozen=True)
class Steps(Channel):
    """A rate that changes at given times."""

    points: tuple[tuple[float, float], ...]

    def steps(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        yield from self.points


@dataclass(frozen=True)
class Message:
    """One message: to the server, or (client None) from the server to all clients; cancelled after `cancel_s`."""

    client: int | None
    size_bytes: float
    start_s: float
    cancel_s: dict[int, float]
    """Seconds after its start, per receiver."""
    down: bool = False


@dataclass(frozen=True)
class Plan:
    """Clients behind access points behind a backhaul, and messages."""

    router: TreeRouter
    n_clients: int
    protocol: Tcp | None
    messages: tuple[Message, ...]


RATES = st.one_of(st.sampled_from([8.0, 16.0, 40.0]), st.floats(1.0, 80.0))
TIMES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 4.0]), st.floats(0.0, 6.0))
SIZES = st.one_of(st.sampled_from([0.0, 1.0, 4.0, 8.0]), st.floats(0.01, 20.0))


@st.composite
def channels(draw: st.DrawFn) -> Channel:
    times = draw(st.lists(st.sampled_from([0.5, 1.0, 1.7, 3.0]), max_size=3, unique=True))
    rates = [draw(st.one_of(st.just(0.0), RATES)) for _ in times]
    if not times:
        return Constant(rate=draw(RATES))
    return Steps(((0.0, draw(RATES)), *zip(sorted(times), rates, strict=True), (5.0, draw(RATES))))


@st.composite
def plans(draw: st.DrawFn, alone: bool = False) -> Plan:
    """Plans; `alone`: one broadcast and nothing else."""
    n = draw(st.integers(1, 4))
    latencies = st.sampled_from([0.0, 0.0, 0.25, 0.3])
    router = TreeRouter("server")

    def hang(node: str, parent: str) -> None:
        rate = draw(channels()) if alone or draw(st.integers(0, 4)) else None
        duplex = "full" if alone else draw(st.sampled_from(["half", "full"]))
        router.hang(node, parent, rate, draw(latencies), duplex=duplex)

    hang("switch", "server")
    n_points = draw(st.integers(1, 2))
    for index in range(n_points):
        hang(f"ap-{index}", "switch")
    for index in range(n):
        hang(f"client-{index}", f"ap-{index % n_points}")
    messages = []
    for _ in range(1 if alone else draw(st.integers(1, 6))):
        client = None if alone else draw(st.sampled_from([None, *range(n)]))
        cancels = {i: draw(TIMES) for i in range(n if client is None else 1) if draw(st.booleans())}
        messages.append(Message(client, draw(SIZES), draw(TIMES), cancels, draw(st.booleans())))
    tcp = Tcp(payload_bytes=1.0, wire_bytes=1.25, initial_window=draw(st.sampled_from([0.1, 1.0])))
    return Plan(router, n, draw(st.sampled_from([None, tcp])), tuple(messages))


class Outcome:
    """What became of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.env = simpy.Environment()
        self.network = FluidNetwork(self.env, plan.router, protocol=plan.protocol)
        self.transfers: list[list[Transfer]] = [[] for _ in plan.messages]
        self.cancelled_s: dict[int, float] = {}
        """Instant at which a transfer was cancelled that was under way, by its id."""
        self.fired: list[tuple[float, Transfer]] = []
        self.carried: dict[str, float] = defaultdict(float)
        """Bits that the flows on a link say they have moved, by link."""
        stop = FlowEngine.stop

        def spy(engine: FlowEngine, flow: Flow) -> float:
            rest = stop(engine, flow)
            for link in flow.links:
                self.carried[link.name] += flow.size_bit - rest
            return rest

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FlowEngine, "stop", spy)
            for message, transfers in zip(plan.messages, self.transfers, strict=True):
                self.env.process(self._move(message, transfers, plan.n_clients))
            self.env.run()

    def _move(self, message: Message, into: list[Transfer], n: int) -> Generator[simpy.Event, None, None]:
        yield self.env.timeout(message.start_s)
        if message.client is None:
            into += self.network.broadcast("server", [f"client-{i}" for i in range(n)], message.size_bytes)
        else:
            ends = f"client-{message.client}", "server"
            into.append(self.network.send(*(reversed(ends) if message.down else ends), message.size_bytes))
        for transfer in into:
            assert transfer.done.callbacks is not None
            transfer.done.callbacks.append(lambda event: self.fired.append((self.env.now, event.value)))
        for index, after_s in message.cancel_s.items():
            self.env.process(self._cancel(into[index], after_s))

    def _cancel(self, transfer: Transfer, after_s: float) -> Generator[simpy.Event, None, None]:
        yield self.env.timeout(after_s)
        under_way = transfer.finished_s is None
        moved = self.network.moved_bytes(transfer)
        for _ in range(2):
            self.network.cancel(transfer)
            assert transfer.moved_bytes == moved
        if under_way:
            self.cancelled_s[id(transfer)] = self.env.now


@pytest.fixture(autouse=True, scope="module")
def _small_hubs() -> Generator[None, None, None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "_HUB_FROM", 2)
        yield


def check_nothing_is_left(network: FluidNetwork) -> None:
    engine = network._engine
    assert not network._looks
    assert not network._arrived
    assert not engine._classes
    assert not any(link.flows or link.classes for link in network._links.values())


@given(plans())
def test_each_transfer_fires_once_and_whole_or_was_cancelled_before_and_never_fires(plan: Plan) -> None:
    outcome = Outcome(plan)
    fired = {id(transfer): time_s for time_s, transfer in outcome.fired}
    assert len(fired) == len(outcome.fired)
    for transfer in (transfer for transfers in outcome.transfers for transfer in transfers):
        assert (id(transfer) in fired) != (id(transfer) in outcome.cancelled_s)
        assert transfer.finished_s == fired.get(id(transfer))
        assert transfer.done.triggered == (id(transfer) in fired)
        assert 0 <= transfer.moved_bytes <= transfer.size_bytes
        if id(transfer) in fired:
            assert transfer.moved_bytes == transfer.size_bytes
    check_nothing_is_left(outcome.network)


@given(plans())
def test_the_rows_of_each_link_sum_to_the_bits_that_its_flows_have_moved(plan: Plan) -> None:
    outcome = Outcome(plan)
    rows: dict[str, float] = defaultdict(float)
    for link, start_s, end_s, rate, capacity, n_flows in outcome.network.link_use:
        assert end_s > start_s
        assert n_flows > 0
        assert rate <= capacity * (1 + 1e-9)
        rows[link] += rate * (end_s - start_s)
    outcome.carried.pop("", None)  # The ramps of a protocol are no links of the network.
    for link in {*rows, *outcome.carried}:
        assert rows[link] == pytest.approx(outcome.carried[link], **CLOSE)


@given(plans())
def test_a_cancelled_transfer_is_to_the_others_as_one_that_was_just_as_long_as_it_came(plan: Plan) -> None:
    plan = replace(plan, messages=tuple(message for message in plan.messages if message.client is not None))
    if plan.protocol is not None:
        # In slow start the window that takes the last of a message goes at once, so that a shorter one is another.
        plan = replace(plan, protocol=replace(plan.protocol, slow_start=False))
    outcome = Outcome(plan)
    # A trifle less, so that no outage begins between its last bit and the cancellation by rounding alone.
    moved = [
        transfer.moved_bytes * (1 if transfer.finished_s is not None else 1 - 1e-12)
        for (transfer,) in outcome.transfers
    ]
    messages = zip(plan.messages, moved, strict=True)
    shorter = Outcome(
        replace(plan, messages=tuple(replace(m, size_bytes=size, cancel_s={}) for m, size in messages))
    )
    for (transfer,), (as_long,) in zip(outcome.transfers, shorter.transfers, strict=True):
        assert as_long.finished_s is not None
        cancelled_s = outcome.cancelled_s.get(id(transfer))
        if cancelled_s is None:
            assert as_long.finished_s == pytest.approx(transfer.finished_s, **CLOSE)
        elif transfer.moved_bytes > 0:
            assert as_long.finished_s <= cancelled_s + 1e-9


@given(plans(alone=True))
def test_a_receiver_has_what_the_slowest_link_to_it_has_carried(plan: Plan) -> None:
    outcome = Outcome(plan)
    for index, transfer in enumerate(outcome.transfers[0]):
        until_s = outcome.cancelled_s.get(id(transfer), math.inf)
        route = plan.router.route("server", f"client-{index}").links
        carried = {link.name: 0.0 for link in route}
        for name, start_s, end_s, rate, _, _ in outcome.network.link_use:
            if name in carried:
                carried[name] += rate * max(min(end_s, until_s) - start_s, 0.0)
        if transfer.moved_bytes < transfer.size_bytes:
            share = 8.0 if plan.protocol is None else 8.0 * plan.protocol.wire_share
            assert transfer.moved_bytes * share == pytest.approx(min(carried.values()), **CLOSE)


def test_a_broadcast_goes_on_for_the_others_and_stops_with_the_last_of_them() -> None:
    env = simpy.Environment()
    members = Fleet(
        tuple(AccessLink(f"client-{i}", Constant(rate=8e6), Constant(rate=8e6)) for i in range(3))
    )
    network = Star(backhaul=4e6, duplex="half").build(env, members, seed=1)
    transfers = network.broadcast("server", [f"client-{i}" for i in range(3)], 1e6)
    upload = network.send("client-0", "server", 1e6)
    # The backhaul gives 2 Mbit/s to the broadcast and to the upload; each access link has 8 Mbit/s for itself.
    for instant, index in ((1.0, 0), (1.5, 2), (2.0, 1)):
        env.run(until=instant)
        network.cancel(transfers[index])
    env.run()
    assert [transfer.moved_bytes for transfer in transfers] == pytest.approx([0.25e6, 0.5e6, 0.375e6])
    assert upload.finished_s == pytest.approx(3.0)  # 4 of 8 Mbit at 2 s, then all 4 Mbit/s
    assert [row[1:4] for row in network.link_use if row[0] == "client-0/down"] == [(0.0, 1.0, 8e6)]
    assert [row[1:4] for row in network.link_use if row[0] == "client-2/down"] == [(0.0, 1.0, 8e6)]


@pytest.mark.parametrize("latency_s", [0.0, 5.0])
def test_thousands_of_cancelled_transfers_leave_nothing_behind(latency_s: float) -> None:
    """Beside a transfer that outlives them all, so that the links are never idle."""
    env = simpy.Environment()
    members = Fleet(
        tuple(AccessLink(f"client-{i}", Constant(rate=8e6), Constant(rate=8e6), latency_s) for i in range(20))
    )
    network = SharedAp(medium=8e6, access_points=4, backhaul=2e7, record_links=False, protocol=Tcp()).build(
        env, members, seed=1
    )
    sizes: list[int] = []

    def sent_and_cancelled(client: str) -> Generator[simpy.Event, None, None]:
        for turn in range(350):
            transfers = [network.send(client, "server", 1e9)]
            transfers += network.broadcast("server", [client, "client-19"], 1e9)
            yield env.timeout(1.3)
            for transfer in transfers:
                network.cancel(transfer)
            yield env.timeout(0.1)
            if client == "client-0" and turn % 10 == 9:
                sizes.append(kept(network))

    for index in range(5):
        network.send(f"client-{15 + index % 4}", "server", 1e12)
    for index in range(10):
        env.process(sent_and_cancelled(f"client-{index}"))
    env.run(until=500.0)
    assert max(sizes[20:]) <= 1.2 * max(sizes[:15])


def kept(network: FluidNetwork) -> int:
    """Entries of everything that the network and its engine keep."""
    seen: set[int] = set()
    todo: list[object] = [network]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (type, Callable, simpy.Environment)):  # type: ignore[arg-type]
            continue
        seen.add(id(thing))
        todo += gc.get_referents(thing)
    return len(seen)


@pytest.mark.parametrize("at_s", [0.5, 1.5])
def test_nothing_holds_a_cancelled_transfer(at_s: float) -> None:
    """During its latency, and while it shares its links with one that goes on."""
    env = simpy.Environment()
    members = Fleet((AccessLink("client-0", Constant(rate=8e6), Constant(rate=8e6), 1.0),))
    network = Star().build(env, members, seed=1)
    other, transfer = network.send("client-0", "server", 1e7), network.send("client-0", "server", 1e6)
    env.run(until=at_s)
    network.cancel(transfer)
    env.run(until=at_s + 0.25)
    assert not set(map(id, gc.get_referrers(transfer))) & set(map(id, gc.get_objects()))
    assert other.finished_s is None
