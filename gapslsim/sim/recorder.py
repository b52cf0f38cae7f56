"""Collects what happened and when; fills the time of every client without gap or overlap."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

from gapslsim.records import SpanRow

__all__ = ["Recorder"]

_pack_numbers = struct.Struct("<4d").pack


class Recorder:
    """Spans of all actors. A client's idle time becomes `waiting` spans, so that its phases sum to elapsed time.

    Args:
        idle_w: power that each client draws while it waits [W].
    """

    def __init__(self, idle_w: Sequence[float]) -> None:
        self.round = 0
        self.spans: list[SpanRow] = []
        self._idle_w = idle_w
        self._filled_until: dict[int, float] = {}
        self._names: dict[int, str] = {}

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
        self.wait_until(client, start_s)
        energy_j = power_w * (end_s - start_s) + extra_j
        self.spans.append(
            SpanRow(
                self._name(client), client, phase, self.round, start_s, end_s, size_bytes, work_flop, energy_j
            )
        )
        self._filled_until[client] = end_s

    def client_wait(self, client: int, phase: str, start_s: float, end_s: float) -> None:
        """Adds time that a client spends idle for a known reason, for instance in the server's queue."""
        if end_s > start_s:
            self.client_span(client, phase, start_s, end_s, self._idle_w[client])

    def server_span(
        self, actor: str, phase: str, start_s: float, end_s: float, power_w: float, work_flop: float
    ) -> None:
        """Adds what a server did; servers may be idle between spans."""
        energy_j = power_w * (end_s - start_s)
        self.spans.append(SpanRow(actor, -1, phase, self.round, start_s, end_s, 0, work_flop, energy_j))

    def wait_until(self, client: int, now_s: float) -> None:
        """Fills a client's time with waiting up to now."""
        since = self._filled_until.get(client, 0.0)
        if now_s > since:
            energy_j = self._idle_w[client] * (now_s - since)
            self.spans.append(
                SpanRow(self._name(client), client, "waiting", self.round, since, now_s, 0, 0.0, energy_j)
            )
            self._filled_until[client] = now_s

    def finish(self, clients: Iterable[int], now_s: float) -> None:
        """Fills every client's time up to the end of the run."""
        for client in clients:
            self.wait_until(client, now_s)

    def timeline_sha256(self) -> str:
        """Hash of all spans, independent of the order in which simultaneous ones were written."""
        digest = hashlib.sha256()
        for row in sorted(self.spans):
            actor, _, phase, round, start_s, end_s, size_bytes, work_flop, energy_j = row
            numbers = _pack_numbers(start_s, end_s, work_flop, energy_j)
            digest.update(f"{actor}|{phase}|{round}|{size_bytes}|".encode() + numbers)
        return digest.hexdigest()

    def _name(self, client: int) -> str:
        """Name of a client as an actor; the same string in all of its spans."""
        name = self._names.get(client)
        if name is None:
            name = self._names[client] = f"client-{client}"
        return name
