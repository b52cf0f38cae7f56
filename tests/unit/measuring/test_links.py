"""Links over loopback: both directions, round trips, and a peer that is not there."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gapslsim.errors import NetworkError
from gapslsim.measuring.links import LinkPlan, measure_link, parse_peer, serve
from gapslsim.measuring.table import Machine

HERE = Machine("fake", "test", 1)
SMALL = LinkPlan(sizes=(1, 1 << 17), repeats=2, pings=3, timeout_s=5.0)


@contextmanager
def served(**options: float) -> Iterator[tuple[int, queue.Queue[object]]]:
    """A peer on a free port of loopback; what it ends with goes into the queue."""
    port: queue.Queue[int] = queue.Queue()
    ended: queue.Queue[object] = queue.Queue()

    def run() -> None:
        try:
            ended.put(serve(0, host="127.0.0.1", patience_s=5.0, ready=port.put, **options))
        except NetworkError as error:
            ended.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield port.get(timeout=5.0), ended
    thread.join(timeout=5.0)
    assert not thread.is_alive()


def test_a_link_is_measured_both_ways_with_its_round_trips() -> None:
    with served() as (port, ended):
        rows = measure_link(HERE, ("127.0.0.1", port), SMALL)
    assert ended.get(timeout=1.0) == "127.0.0.1"
    assert [row.name for row in rows] == ["round_trip"] * 3 + ["transfer"] * 8
    transfers = [(row.direction, row.size_bytes) for row in rows[3:]]
    assert transfers == [(way, size) for way in ("up", "down") for size in (1, 1, 1 << 17, 1 << 17)]
    assert all(row.round_trip_s is not None and row.round_trip_s > 0 for row in rows)
    assert all(row.duration_s is not None and row.duration_s > 0 for row in rows[3:])


def test_larger_sizes_are_left_out_once_a_transfer_takes_long() -> None:
    times = iter(range(1000))
    plan = LinkPlan(sizes=(10, 20, 40), repeats=2, pings=1, long_s=0.5, timeout_s=5.0)
    with served() as (port, _):
        rows = measure_link(HERE, ("127.0.0.1", port), plan, now_s=lambda: float(next(times)))
    assert [(row.direction, row.size_bytes) for row in rows[1:]] == [("up", 10), ("down", 10)]
    assert {row.duration_s for row in rows[1:]} == {1.0}


def test_a_peer_that_is_not_there_is_said_with_the_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NetworkError, match=f"127.0.0.1:{port} does not answer .*--serve {port}"):
        measure_link(HERE, ("127.0.0.1", port), SMALL)


def test_a_silent_peer_is_given_up() -> None:
    plan = LinkPlan(sizes=(1,), repeats=1, pings=1, timeout_s=0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        peer = ("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(NetworkError, match="does not answer"):
            measure_link(HERE, peer, plan)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"GET / HTTP/1.1\n", "is no 'gapslsim measure --peer'"),
        (b"down 9999999999999\n", "at most 1073741824"),
    ],
)
def test_a_peer_that_is_something_else_is_refused(said: bytes, words: str) -> None:
    with served() as (port, ended), socket.create_connection(("127.0.0.1", port), timeout=5.0) as strange:
        strange.sendall(said)
        assert words in str(ended.get(timeout=5.0))


@pytest.mark.parametrize("text", ["here", "here:", ":5201", "here:port", "here:0", "here:70000"])
def test_a_peer_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NetworkError, match="write HOST:PORT"):
        parse_peer(text)


def test_a_peer_may_be_an_ipv6_address() -> None:
    assert parse_peer("[::1]:5201") == ("::1", 5201)
