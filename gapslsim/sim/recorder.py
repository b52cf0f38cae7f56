"""Collects what happened and when; fills the time of every client without gap or overlap."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

from gapslsim.records import SpanRow

__all__ = ["Recorder"]

_pack_numbers = struct.Struct("<4d").pack

Row = tuple[str, int, str, int, float, float, int, float, float]
"""The fields of a `SpanRow`, in order."""


class Recorder:
    """Spans of all actors. A client's idle time becomes `waiting` spans, so that its phases sum to elapsed time.

    Args:
        idle_w: power that each client draws while it waits [W].
    """

    def __init__(self, idle_w: Sequence[float]) -> None:
        self.round = 0
        self.rows: list[Row] = []
        """The spans, in the order in which they ended; plain tuples, since there may be millions."""
        self.servers: set[str] = set()
        """Names of the servers that have computed."""
        self._idle_w = idle_w
        self._filled_until: dict[int, float] = {}
        self._names: dict[int, str] = {}

    @property
    def spans(self) -> list[SpanRow]:
        """The spans with their names."""
        return list(map(SpanRow._make, self.rows))

    def client_span(
        self,
        client: int,
        phase: str,
        start_s: float,
        end_s: float,
        power_w: float,
        size_bytes: int = 0,
        work_flop: float = 0.0,
        extra_j: float = 0.0,
    ) -> None:
        """Adds what a client did; the time since its last span becomes waiting. `extra_j` is energy beside power."""
        if start_s > self._filled_until.get(client, 0.0):
            self._wait(client, start_s)
        energy_j = power_w * (end_s - start_s) + extra_j
        name = self._names.get(client) or self._name(client)
        self.rows.append((name, client, phase, self.round, start_s, end_s, size_bytes, work_flop, energy_j))
        self._filled_until[client] = end_s

    def clients_wait(self, clients: Iterable[int], phase: str, start_s: float, end_s: float) -> None:
        """Adds time that clients spend idle for a known reason, for instance in the server's queue."""
        if end_s > start_s:
            for client in clients:
                self.client_span(client, phase, start_s, end_s, self._idle_w[client])

    def server_span(
        self, actor: str, phase: str, start_s: float, end_s: float, power_w: float, work_flop: float
    ) -> None:
        """Adds what a server did; servers may be idle between spans."""
        self.servers.add(actor)
        energy_j = power_w * (end_s - start_s)
        self.rows.append((actor, -1, phase, self.round, start_s, end_s, 0, work_flop, energy_j))

    def wait_until(self, clients: Iterable[int], now_s: float) -> None:
        """Fills the time of clients with waiting up to now."""
        filled_until = self._filled_until.get
        for client in clients:
            if now_s > filled_until(client, 0.0):
                self._wait(client, now_s)

    def timeline_sha256(self) -> str:
        """Hash of all spans, independent of the order in which simultaneous ones were written."""
        parts: dict[tuple[str, int, str], list[Row]] = {}
        for row in self.rows:
            part = parts.get(row[:3])
            if part is None:
                parts[row[:3]] = [row]
            else:
                part.append(row)
        digest = hashlib.sha256()
        for key in sorted(parts):  # Each part is nearly in order already.
            head = f"{key[0]}|{key[2]}|"
            digest.update(
                b"".join(
                    [
                        f"{head}{round}|{size_bytes}|".encode()
                        + _pack_numbers(start_s, end_s, work_flop, energy_j)
                        for _, _, _, round, start_s, end_s, size_bytes, work_flop, energy_j in sorted(
                            parts[key]
                        )
                    ]
                )
            )
        return digest.hexdigest()

    def _wait(self, client: int, now_s: float) -> None:
        since_s = self._filled_until.get(client, 0.0)
        energy_j = self._idle_w[client] * (now_s - since_s)
        name = self._names.get(client) or self._name(client)
        self.rows.append((name, client, "waiting", self.round, since_s, now_s, 0, 0.0, energy_j))
        self._filled_until[client] = now_s

    def _name(self, client: int) -> str:
        """Name of a client as an actor; the same string in all of its spans."""
        name = self._names[client] = f"client-{client}"
        return name
