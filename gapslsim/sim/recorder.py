"""Collects what happened and when; fills the time of every client without gap or overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from gapslsim.records import SpanRow

__all__ = ["Recorder"]


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

    def client_span(
        self,
        client: int,
        phase: str,
        start_s: float,
        end_s: float,
        power_w: float,
        size_bytes: int = 0,
        work_flop: float = 0.0,
    ) -> None:
        """Adds what a client did; the time since its last span becomes waiting."""
        self.wait_until(client, start_s)
        energy_j = power_w * (end_s - start_s)
        self.spans.append(
            SpanRow(
                f"client-{client}", client, phase, self.round, start_s, end_s, size_bytes, work_flop, energy_j
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
                SpanRow(f"client-{client}", client, "waiting", self.round, since, now_s, 0, 0.0, energy_j)
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
            numbers = np.array([row.start_s, row.end_s, row.work_flop, row.energy_j]).tobytes()
            digest.update(f"{row.actor}|{row.phase}|{row.round}|{row.size_bytes}|".encode() + numbers)
        return digest.hexdigest()
