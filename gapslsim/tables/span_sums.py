"""What spans sum to, without the spans: by phase for all clients and for each server, and seconds of each client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from gapslsim.records import SpanRow
from gapslsim.tables.rows import Chunk, Rows

__all__ = ["SpanSums", "Used", "summed"]


@dataclass(slots=True)
class Used:
    """What some spans used."""

    spans: int = 0
    time_s: float = 0.0
    bytes: int = 0
    energy_j: float = 0.0

    def __add__(self, other: Used) -> Used:
        return Used(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


class SpanSums:
    """Sums that grow with the rows of a table of spans.

    Args:
        rows: whose fields are those of a `SpanRow`; only what is added from now on counts.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._used: dict[tuple[str, str], Used] = {}
        self._seconds = np.zeros((0, 0))
        """By code of the phase and client."""
        rows.when_folded.append(self._add)

    def items(self) -> Iterator[tuple[str, str, Used]]:
        """Who (a server, or empty for all clients), phase, and what its spans used."""
        self._rows.fold()
        return ((actor, phase, used) for (actor, phase), used in self._used.items())

    def total(self, wanted: Callable[[str, str], bool]) -> Used:
        """What those spans used of which an actor and a phase are wanted."""
        return sum((used for actor, phase, used in self.items() if wanted(actor, phase)), Used())

    def seconds(self, n_clients: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Phases with the seconds of each client in them, less what other spans of it account for."""
        self._rows.fold()
        for phase, code in self._rows.codes["phase"].items():
            own = self._seconds[code][:n_clients] if code < len(self._seconds) else np.zeros(0)
            yield phase, np.pad(own, (0, n_clients - len(own)))

    def _add(self, chunk: Chunk) -> None:
        client, phase = chunk["client"], chunk["phase"]
        phases = list(self._rows.codes["phase"])
        duration_s = chunk["end_s"] - chunk["start_s"]
        of_client = client >= 0
        self._count("", phases, of_client, chunk, duration_s)
        if not of_client.all():
            servers = list(self._rows.codes["actor"])
            for code in np.unique(chunk["actor"][~of_client]).tolist():
                own = ~of_client & (chunk["actor"] == code)
                self._count(servers[code], phases, own, chunk, duration_s)
        if of_client.any():
            self._count_seconds(
                phase[of_client], client[of_client], (duration_s - chunk["overlap_s"])[of_client]
            )

    def _count(
        self,
        actor: str,
        phases: list[str],
        own: NDArray[np.bool_],
        chunk: Chunk,
        duration_s: NDArray[np.float64],
    ) -> None:
        codes = chunk["phase"][own]
        n = np.bincount(codes, minlength=len(phases))
        time_s, energy_j = (np.bincount(codes, v[own], len(phases)) for v in (duration_s, chunk["energy_j"]))
        sizes = np.zeros(len(phases), np.int64)
        np.add.at(sizes, codes, chunk["size_bytes"][own])
        for code in np.flatnonzero(n).tolist():
            key = actor, phases[code]
            more = Used(int(n[code]), float(time_s[code]), int(sizes[code]), float(energy_j[code]))
            self._used[key] = self._used.get(key, Used()) + more

    def _count_seconds(
        self, phase: NDArray[np.int32], client: NDArray[np.int64], seconds: NDArray[np.float64]
    ) -> None:
        n_phases, n_clients = self._seconds.shape
        wanted = max(n_phases, int(phase.max()) + 1), max(n_clients, int(client.max()) + 1)
        if wanted != self._seconds.shape:
            # Twice as many, so that it is copied seldom.
            grown = np.zeros((wanted[0], wanted[1] if wanted[1] == n_clients else 2 * wanted[1]))
            grown[:n_phases, :n_clients] = self._seconds
            self._seconds = grown
        place = phase * self._seconds.shape[1] + client
        if self._seconds.size <= 4 * len(place):
            # Sums of sums: what rounding takes does not grow with the length of the run.
            more = np.bincount(place, seconds, self._seconds.size)
            self._seconds += more.reshape(self._seconds.shape)
        else:
            np.add.at(self._seconds.reshape(-1), place, seconds)


def summed(rows: Iterable[Sequence[object]]) -> tuple[Rows, SpanSums]:
    """Spans that are at hand as a table, with its sums."""
    table = Rows(SpanRow)
    sums = SpanSums(table)
    table.extend(rows)
    return table, sums
