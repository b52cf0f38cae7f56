"""Rate and latency of the link to a peer, over one TCP connection per direction, both ways.

The protocol, one request per line in ASCII: `ping` is answered by one byte; `up N` is followed by N bytes and answered
by one byte when the last has arrived; `down N` is answered by N bytes; `end` closes. Everything is bounded: sizes,
numbers of requests, waiting times.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median_high

from gapslsim.errors import NetworkError
from gapslsim.measuring.table import Machine, Measurement, link_row

__all__ = ["LinkPlan", "measure_link", "parse_peer", "serve"]

_CHUNK = 1 << 16
_LARGEST = 1 << 30
"""Bytes of one transfer at most."""
_MOST_REQUESTS = 10_000


@dataclass(frozen=True)
class LinkPlan:
    """What to send."""

    sizes: Sequence[int] = (1 << 14, 1 << 17, 1 << 20, 1 << 23, 1 << 25)
    """Bytes; larger ones are left out as soon as a transfer takes longer than `long_s`."""
    repeats: int = 5
    pings: int = 20
    long_s: float = 2.0
    timeout_s: float = 10.0
    """The longest silence of the peer."""


def parse_peer(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`.

    Raises:
        NetworkError: if it is written otherwise.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise NetworkError(f"--peer: found {text!r}; write HOST:PORT, for instance 192.168.1.20:5201.")
    return host.strip("[]"), int(port)


def measure_link(
    machine: Machine,
    peer: tuple[str, int],
    plan: LinkPlan | None = None,
    now_s: Callable[[], float] = time.perf_counter,
) -> list[Measurement]:
    """Times round trips and transfers to and from a peer that runs `gapslsim measure --serve PORT`.

    Raises:
        NetworkError: if the peer cannot be reached, is silent, or is something else.
    """
    plan = plan or LinkPlan()
    try:
        with socket.create_connection(peer, timeout=plan.timeout_s) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            rows = list(_session(machine, connection, plan, now_s))
            connection.sendall(b"end\n")
            return rows
    except OSError as error:
        raise NetworkError(
            f"--peer: {peer[0]}:{peer[1]} does not answer ({error}). Start 'gapslsim measure --serve {peer[1]}' there "
            "first, and see that the port is not closed by a firewall."
        ) from error


def _session(
    machine: Machine, connection: socket.socket, plan: LinkPlan, now_s: Callable[[], float]
) -> Iterator[Measurement]:
    round_trips: list[float] = []
    for _ in range(plan.pings):
        begun_s = now_s()
        connection.sendall(b"ping\n")
        _receive(connection, 1)
        round_trips.append(now_s() - begun_s)
        yield link_row(machine, "up", round_trip_s=round_trips[-1])
    latency_s = median_high(round_trips) if round_trips else None
    for direction in ("up", "down"):
        for size, _ in product(plan.sizes, range(plan.repeats)):
            begun_s = now_s()
            connection.sendall(f"{direction} {size}\n".encode())
            if direction == "up":
                _send(connection, size)
            _receive(connection, 1 if direction == "up" else size)
            took_s = now_s() - begun_s
            yield link_row(machine, direction, size, took_s, latency_s)
            # On a slow link neither this size again nor a larger one tells enough to wait for it.
            if took_s > plan.long_s:
                break


def serve(
    port: int,
    *,
    host: str = "",
    patience_s: float = 600.0,
    timeout_s: float = 10.0,
    ready: Callable[[int], None] = lambda port: None,
) -> str:
    """Answers one measurement, then ends.

    Args:
        port: to listen on; 0 for any free one.
        host: address to listen on; all of this machine's unless given.
        patience_s: how long to wait for the peer.
        timeout_s: the longest silence of the peer.
        ready: told the port when listening.

    Returns:
        The peer's address.

    Raises:
        NetworkError: if the port is taken, nobody comes, or the peer breaks off.
    """
    try:
        with socket.create_server((host, port)) as listener:
            listener.settimeout(patience_s)
            ready(listener.getsockname()[1])
            connection, address = listener.accept()
            with connection:
                connection.settimeout(timeout_s)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _answer(connection)
                return str(address[0])
    except TimeoutError as error:
        raise NetworkError(
            f"--serve: no measurement within {patience_s:g} s, or silent for {timeout_s:g} s; start again."
        ) from error
    except OSError as error:
        raise NetworkError(f"--serve: port {port}: {error}; choose another port, or start again.") from error


def _answer(connection: socket.socket) -> None:
    for _ in range(_MOST_REQUESTS):
        verb, _, rest = _line(connection).partition(" ")
        size = int(rest) if rest.isdigit() else 0
        if size > _LARGEST:
            raise NetworkError(f"--serve: the peer asks for {size} bytes; at most {_LARGEST} are served.")
        if verb == "ping":
            connection.sendall(b".")
        elif verb == "up":
            _receive(connection, size)
            connection.sendall(b".")
        elif verb == "down":
            _send(connection, size)
        elif verb in ("end", ""):
            return
        else:
            raise NetworkError(f"--serve: the peer says {verb[:40]!r}; it is no 'gapslsim measure --peer'.")


def _line(connection: socket.socket) -> str:
    """The next line, 64 bytes at most; byte by byte, so that nothing of what follows is taken."""
    text = b""
    while len(text) < 64:
        byte = connection.recv(1)
        if byte in (b"", b"\n"):
            break
        text += byte
    return text.decode("ascii", "replace")


def _send(connection: socket.socket, size: int) -> None:
    chunk = bytes(_CHUNK)
    for begin in range(0, size, _CHUNK):
        connection.sendall(chunk[: size - begin])


def _receive(connection: socket.socket, size: int) -> None:
    left = size
    while left > 0:
        got = len(connection.recv(min(left, _CHUNK)))
        if got == 0:
            raise ConnectionError("the peer closed the connection")
        left -= got
