"""Rate and latency of the link to a peer, over one TCP connection per direction, both ways.

The protocol, one request per line in ASCII: `hello TOKEN` begins and is answered by one byte, as is `ping`; `up N` is
followed by N bytes and answered by one byte when the last has arrived; `down N` is answered by N bytes; `end` closes.
Everything is bounded: sizes, numbers of requests, waiting times, the whole. Nothing is encrypted.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median_high

from gapslsim.errors import NetworkError
from gapslsim.measuring._link_wire import Wire
from gapslsim.measuring.table import Machine, Measurement, link_row
from gapslsim.units import whole_number

__all__ = ["LinkPlan", "measure_link", "parse_peer"]


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
    whole_s: float = 600.0
    """For all."""


def parse_peer(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`.

    Raises:
        NetworkError: if it is written otherwise.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not 0 < (number := whole_number(port) or 0) < 65536:
        raise NetworkError(f"--peer: found {text!r}; write HOST:PORT, for instance 192.168.1.20:5201.")
    return host.strip("[]"), number


def measure_link(
    machine: Machine,
    peer: tuple[str, int],
    plan: LinkPlan | None = None,
    now_s: Callable[[], float] = time.perf_counter,
    *,
    token: str = "",
) -> list[Measurement]:
    """Times round trips and transfers to and from a peer that runs `gapslsim measure --serve PORT`.

    Args:
        machine: this one.
        peer: host and port.
        plan: what to send.
        now_s: the clock.
        token: that the peer has printed.

    Raises:
        NetworkError: if the peer cannot be reached, is silent, or is something else.
    """
    plan = plan or LinkPlan()
    try:
        with socket.create_connection(peer, timeout=plan.timeout_s) as connection:
            wire = Wire(connection, plan.timeout_s, time.monotonic() + plan.whole_s)
            wire.say(f"hello {token}\n".encode("ascii", "replace"))
            try:
                wire.receive(1)
            except ConnectionError as error:
                raise NetworkError(
                    f"--token: {peer[0]}:{peer[1]} does not take it; give the one that --serve has printed there."
                ) from error
            rows = list(_session(machine, wire, plan, now_s))
            wire.say(b"end\n")
            return rows
    except OSError as error:
        raise NetworkError(
            f"--peer: {peer[0]}:{peer[1]} does not answer ({error}). Start 'gapslsim measure --serve {peer[1]}' there "
            "first, and see that the port is not closed by a firewall."
        ) from error


def _session(
    machine: Machine, wire: Wire, plan: LinkPlan, now_s: Callable[[], float]
) -> Iterator[Measurement]:
    round_trips: list[float] = []
    for _ in range(plan.pings):
        begun_s = now_s()
        wire.say(b"ping\n")
        wire.receive(1)
        round_trips.append(now_s() - begun_s)
        yield link_row(machine, "up", round_trip_s=round_trips[-1])
    latency_s = median_high(round_trips) if round_trips else None
    for direction in ("up", "down"):
        for size, _ in product(plan.sizes, range(plan.repeats)):
            begun_s = now_s()
            wire.say(f"{direction} {size}\n".encode())
            if direction == "up":
                wire.send(size)
            wire.receive(1 if direction == "up" else size)
            took_s = now_s() - begun_s
            yield link_row(machine, direction, size, took_s, latency_s)
            # On a slow link neither this size again nor a larger one tells enough to wait for it.
            if took_s > plan.long_s:
                break
