"""Links over loopback: both directions, round trips, and a peer that is not there."""

from __future__ import annotations

import inspect
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gapslsim.cli.measure import measure_command
from gapslsim.errors import NetworkError
from gapslsim.measuring import link_server
from gapslsim.measuring.link_server import serve
from gapslsim.measuring.links import LinkPlan, measure_link, parse_peer
from gapslsim.measuring.table import Machine

HERE = Machine("fake", "test", 1)
SMALL = LinkPlan(sizes=(1, 1 << 17), repeats=2, pings=3, timeout_s=5.0)


@contextmanager
def served(**options: Any) -> Iterator[tuple[int, queue.Queue[object]]]:
    """A peer on a free port of loopback; what it ends with goes into the queue."""
    port: queue.Queue[int] = queue.Queue()
    ended: queue.Queue[object] = queue.Queue()

    def run() -> None:
        try:
            given = {"patience_s": 5.0, "token": "secret", **options}
            ended.put(serve(0, ready=lambda number, _: port.put(number), **given))
        except NetworkError as error:
            ended.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield port.get(timeout=5.0), ended
    thread.join(timeout=5.0)
    assert not thread.is_alive()


def test_a_link_is_measured_both_ways_with_its_round_trips() -> None:
    with served() as (port, ended):
        rows = measure_link(HERE, ("127.0.0.1", port), SMALL, token="secret")
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
        rows = measure_link(HERE, ("127.0.0.1", port), plan, now_s=lambda: float(next(times)), token="secret")
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
        strange.sendall(b"hello secret\n")
        assert strange.recv(1) == b"."
        strange.sendall(said)
        assert words in str(ended.get(timeout=5.0))


def knock(port: int, said: bytes) -> bytes:
    """What somebody hears who says this first."""
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as strange:
        strange.sendall(said)
        try:
            return strange.recv(10)
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n\r\n", b"hello secreT\n", b"hello \n", b"hello secret", b"\n", b"ping\n", b"\0" * 99,
     b"x" * 99, b"hello secret\nping\n"],
)  # fmt: skip
def test_who_does_not_know_the_token_hears_nothing_and_is_no_measurement(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_server, "_GREETING_S", 0.05)
    with served() as (port, ended):
        assert knock(port, said) == b""
        assert ended.empty()
        assert measure_link(HERE, ("127.0.0.1", port), SMALL, token="secret")
    assert ended.get(timeout=1.0) == "127.0.0.1"


def test_a_scan_that_connects_and_goes_is_no_measurement() -> None:
    with served() as (port, ended):
        for _ in range(70):
            socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
        assert ended.empty()
        assert measure_link(HERE, ("127.0.0.1", port), SMALL, token="secret")


def test_many_that_say_nothing_keep_nobody_waiting() -> None:
    with served() as (port, _):
        silent = [socket.create_connection(("127.0.0.1", port), timeout=5.0) for _ in range(20)]
        begun_s = time.monotonic()
        assert measure_link(HERE, ("127.0.0.1", port), SMALL, token="secret")
        assert time.monotonic() - begun_s < 4.0  # less than one of them is given for its greeting
        for one in silent:
            one.close()


def test_a_wrong_token_is_said_to_who_gave_it() -> None:
    with (
        served(patience_s=1.0) as (port, _),
        pytest.raises(NetworkError, match=r"--token: .* does not take it"),
    ):
        measure_link(HERE, ("127.0.0.1", port), SMALL, token="wrong")


def test_a_peer_that_says_little_for_long_is_given_up_at_the_deadline() -> None:
    with served(patience_s=0.6) as (port, ended), socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"hello secret\n")
        assert slow.recv(1) == b"."
        for _ in range(10):
            time.sleep(0.1)
            try:
                slow.sendall(b"p")  # never silent for long, never a whole line
            except OSError:
                break
        assert "no measurement within 0.6 s" in str(ended.get(timeout=2.0))


def test_a_token_is_drawn_anew_for_each_call() -> None:
    told: list[str] = []

    def ready(port: int, token: str) -> None:
        told.append(token)
        raise OSError("enough")

    for _ in range(2):
        with pytest.raises(NetworkError, match="enough"):
            serve(0, ready=ready)
    assert len(set(told)) == 2
    assert all(len(token) == 32 for token in told)


def test_only_this_machine_is_listened_to_unless_asked() -> None:
    assert inspect.signature(serve).parameters["host"].default == "127.0.0.1"
    assert inspect.signature(measure_command).parameters["host"].default == "127.0.0.1"


@pytest.mark.parametrize("text", ["here", "here:", ":5201", "here:port", "here:0", "here:70000"])
def test_a_peer_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NetworkError, match="write HOST:PORT"):
        parse_peer(text)


def test_a_peer_may_be_an_ipv6_address() -> None:
    assert parse_peer("[::1]:5201") == ("::1", 5201)
